// Package store keeps the records of runs in one SQLite file.
//
//	runs      id, key, version, name, scenario_hash, seed, finished, lost_pages
//	config    id, one column for each key of the effective scenario and each derived value
//	stats     id, one column for each statistic of a run
//	per_vcpu  id, vcpu, one column for each statistic of a vCPU (per_X: of "x.<n>.…")
//	records   id, the record itself, compressed, with its checksum
//	sweeps    the sweeps that were run, with their axes
//	points    sweep, ordinal, labels, key: the points of a sweep in their order
//	baselines what runs with tracking off came to, by key
//
//	view results = runs ⨝ config ⨝ stats: SELECT "tracking.ring", "guest.slowdown" FROM results
//
// The record is the truth: every column is made from it, and Check compares them
// again. A run is in the store entirely or not at all (one transaction), and once
// (its key is unique). Several processes may use one store: SQLite's write-ahead
// log lets all read while one writes, and the others wait for it.
package store

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// format is the version of the tables; application marks the file as ours.
const (
	format      = 2
	application = 0x726d6170 // "rmap"
)

// patience is how long a process waits for another that writes, in milliseconds.
const patience = 60_000

// Store is an open store.
type Store struct {
	Path string
	db   *sql.DB
	cols map[string]map[string]bool // columns by table
}

// Error is what is wrong with a store, and what to do.
type Error struct {
	Path string
	Text string
	Fix  string
}

func (e *Error) Error() string {
	s := e.Path + ": " + e.Text
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// Open opens a store for writing, and makes it if there is none.
func Open(path string) (*Store, error) {
	_, err := os.Stat(path)
	fresh := os.IsNotExist(err)
	if fresh {
		if err := probe(path); err != nil {
			return nil, err
		}
	}
	s, err := open(path, "rwc")
	if err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// probe tells in the words of the operating system why a file cannot be made.
func probe(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".ringmap-*")
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return &Error{path, "cannot make a store: " + err.Error(), ""}
	}
	f.Close()
	return os.Remove(f.Name())
}

// OpenRead opens a store that exists, to read it.
func OpenRead(path string) (*Store, error) {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		text := "this is a folder"
		var pe *os.PathError
		if errors.As(err, &pe) {
			text = pe.Err.Error()
		}
		return nil, &Error{path, "cannot open the store: " + text, ""}
	}
	s, err := open(path, "ro")
	if err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func open(path, mode string) (*Store, error) {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: "mode=" + mode + fmt.Sprintf("&_pragma=busy_timeout(%d)&_pragma=synchronous(normal)&_txlock=immediate", patience)}
	if mode == "ro" { // each query on its own connection would do, but one shares its cache
		u.RawQuery += "&_pragma=query_only(1)"
	}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, &Error{path, err.Error(), ""}
	}
	db.SetMaxOpenConns(1)
	return &Store{Path: path, db: db, cols: map[string]map[string]bool{}}, nil
}

// Close ends the use of the store.
func (s *Store) Close() error { return s.wrap(s.db.Close()) }

// prepare makes the tables of a new store, and checks those of an old one.
func (s *Store) prepare() error {
	var tables, app int
	if err := s.db.QueryRow("SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return s.wrap(err)
	}
	if err := s.db.QueryRow("PRAGMA application_id").Scan(&app); err != nil {
		return s.wrap(err)
	}
	if tables == 0 && app == 0 {
		if _, err := s.db.Exec("PRAGMA journal_mode=wal"); err != nil {
			return s.wrap(err)
		}
		if err := s.create(); err != nil {
			return err
		}
	}
	return s.check()
}

// schema makes the tables. Columns of config, stats and per_… come with the
// records.
const schema = `
CREATE TABLE IF NOT EXISTS runs (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, version TEXT NOT NULL, name TEXT NOT NULL,
	scenario_hash TEXT NOT NULL, seed INTEGER NOT NULL, finished TEXT NOT NULL, lost_pages INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS config (id INTEGER PRIMARY KEY REFERENCES runs);
CREATE TABLE IF NOT EXISTS stats (id INTEGER PRIMARY KEY REFERENCES runs);
CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY REFERENCES runs, checksum BLOB NOT NULL, zstd BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS sweeps (name TEXT PRIMARY KEY, about TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS points (sweep TEXT NOT NULL REFERENCES sweeps, ordinal INTEGER NOT NULL, labels TEXT NOT NULL, key TEXT NOT NULL,
	PRIMARY KEY (sweep, ordinal)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS baselines (key TEXT PRIMARY KEY, cycles INTEGER NOT NULL, instructions INTEGER NOT NULL, vcpus TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS columns (tab TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (tab, name)) WITHOUT ROWID;
`

func (s *Store) create() error {
	return s.transact(func(tx *sql.Tx) error {
		for _, line := range []string{schema, fmt.Sprintf("PRAGMA application_id=%d", application), fmt.Sprintf("PRAGMA user_version=%d", format)} {
			if _, err := tx.Exec(line); err != nil {
				return err
			}
		}
		return nil
	})
}

// check tells whether the file is a store that this program can read.
func (s *Store) check() error {
	var app, version int
	for name, to := range map[string]*int{"application_id": &app, "user_version": &version} {
		if err := s.db.QueryRow("PRAGMA " + name).Scan(to); err != nil {
			return s.wrap(err)
		}
	}
	switch {
	case app != application:
		return &Error{s.Path, "this is no store of ringmap", "name another file; one that does not exist is made"}
	case version > format:
		return &Error{s.Path, fmt.Sprintf("this store has format %d, made by a newer ringmap, and this one knows format %d", version, format), "use the newer ringmap, or another file"}
	case version < format:
		return &Error{s.Path, fmt.Sprintf("this store has format %d, and this ringmap knows format %d alone", version, format), "use the ringmap that made it, or another file"}
	}
	var result string
	if err := s.db.QueryRow("PRAGMA quick_check(1)").Scan(&result); err != nil {
		return s.wrap(err)
	}
	if result != "ok" {
		return s.damaged(result)
	}
	return s.loadColumns()
}

func (s *Store) damaged(what string) error {
	return &Error{s.Path, "the store is damaged: " + strings.Join(strings.Fields(what), " "), "nothing was changed; restore it from a copy, or run the sweep into a new one"}
}

func (s *Store) loadColumns() error {
	s.cols = map[string]map[string]bool{}
	rows, err := s.db.Query("SELECT tab, name FROM columns")
	if err != nil {
		return s.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var tab, name string
		if err := rows.Scan(&tab, &name); err != nil {
			return s.wrap(err)
		}
		s.note(tab, name)
	}
	return s.wrap(rows.Err())
}

func (s *Store) note(tab, name string) {
	if s.cols[tab] == nil {
		s.cols[tab] = map[string]bool{}
	}
	s.cols[tab][name] = true
}

// transact runs f in one transaction, entirely or not at all.
func (s *Store) transact(f func(tx *sql.Tx) error) error {
	tx, err := s.db.Begin()
	if err != nil {
		return s.wrap(err)
	}
	if err := f(tx); err != nil {
		tx.Rollback()
		s.loadColumns() // those that f added are gone again
		return s.wrap(err)
	}
	return s.wrap(tx.Commit())
}

// wrap puts an error of SQLite into words.
func (s *Store) wrap(err error) error {
	var own *Error
	var code *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return err
	case !errors.As(err, &code):
		return &Error{s.Path, err.Error(), ""}
	}
	switch code.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return &Error{s.Path, "no space left for the store", "what was finished is kept; make space and run the same command again"}
	case sqlite3.SQLITE_READONLY:
		return &Error{s.Path, "the store is read-only", "make it writable, or use another file"}
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return &Error{s.Path, fmt.Sprintf("another process has held the store for %d s", patience/1000), "try again when it is done"}
	case sqlite3.SQLITE_CORRUPT:
		return s.damaged(code.Error())
	case sqlite3.SQLITE_NOTADB:
		return &Error{s.Path, "this is no store of ringmap", "name another file; one that does not exist is made"}
	case sqlite3.SQLITE_CANTOPEN:
		return &Error{s.Path, "cannot open the store", "is its folder there, and writable?"}
	case sqlite3.SQLITE_IOERR:
		return &Error{s.Path, "cannot read or write the store: " + code.Error(), "what was finished is kept; is the disk full or gone?"}
	}
	return &Error{s.Path, code.Error(), ""}
}
