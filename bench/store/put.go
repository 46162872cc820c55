package store

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// field is one value of a record for a column.
type field struct {
	name  string
	value any
}

// record is what the tables take from a record.
type record struct {
	Version   string  `json:"version"`
	Name      string  `json:"name"`
	Hash      string  `json:"scenario_hash"`
	Seed      *uint64 `json:"seed"`
	Finished  string  `json:"finished"`
	Scenario  table   `json:"scenario"`
	Derived   table   `json:"derived"`
	Stats     table   `json:"stats"`
	AuditPart struct {
		LostPages uint64 `json:"lost_pages"`
	} `json:"audit"`
}

// table is an object of plain values, in the order in which they stand.
type table []field

// UnmarshalJSON reads the object.
func (t *table) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return fmt.Errorf("this is not an object of plain values")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		value, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		switch v := value.(type) {
		case json.Delim:
			return fmt.Errorf("%q is not a plain value", name)
		case json.Number:
			*t = append(*t, field{name, number(v)})
		default: // string, bool or nil
			*t = append(*t, field{name, v})
		}
	}
	return nil
}

// number is an integer where the text is one that SQLite can hold.
func number(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil {
		return n.String()
	}
	return f
}

// instance splits the name of a statistic of one of several alike things.
var instance = regexp.MustCompile(`^([a-z][a-z0-9_]*)\.(\d+)\.(.+)$`)

// row is a line of one table.
type row struct {
	tab    string
	index  int64 // of the vCPU; -1 in tables of whole runs
	of     string
	fields []field
}

// rows are the lines that a record makes, beside the one in runs.
func (r *record) rows() []row {
	config := row{tab: "config", index: -1, fields: append(slices.Clone(r.Scenario), r.Derived...)}
	stats := row{tab: "stats", index: -1}
	var each []row
	for _, f := range r.Stats {
		m := instance.FindStringSubmatch(f.name)
		n := int64(-1)
		if m != nil {
			n, _ = strconv.ParseInt(m[2], 10, 64)
		}
		if n < 0 {
			stats.fields = append(stats.fields, f)
			continue
		}
		i := slices.IndexFunc(each, func(e row) bool { return e.index == n && e.of == m[1] })
		if i < 0 {
			i, each = len(each), append(each, row{tab: "per_" + m[1], index: n, of: m[1]})
		}
		each[i].fields = append(each[i].fields, field{m[3], f.value})
	}
	return append([]row{config, stats}, each...)
}

// parseRecord reads a record; err says what is missing.
func parseRecord(text []byte) (*record, error) {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("not a record of ringmap: %v", err)
	}
	if r.Version == "" || r.Hash == "" || r.Seed == nil || len(r.Stats) == 0 {
		return nil, fmt.Errorf("not a record of ringmap: version, scenario_hash, seed or stats is missing")
	}
	return &r, nil
}

// Put stores the record of a run, a JSON document as `ringmap run --json` prints
// it, under its key. A key that is there already keeps its record, which must be
// the same.
func (s *Store) Put(key string, text []byte) error {
	r, err := parseRecord(text)
	if err != nil {
		return &Error{s.Path, err.Error(), ""}
	}
	return s.transact(func(tx *sql.Tx) error { return s.put(tx, key, r, text) })
}

// PutAll stores several records in one transaction.
func (s *Store) PutAll(keys []string, texts [][]byte) error {
	records := make([]*record, len(keys))
	for i := range keys {
		var err error
		if records[i], err = parseRecord(texts[i]); err != nil {
			return &Error{s.Path, err.Error(), ""}
		}
	}
	return s.transact(func(tx *sql.Tx) error {
		for i, key := range keys {
			if err := s.put(tx, key, records[i], texts[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) put(tx *sql.Tx, key string, r *record, text []byte) error {
	sum := checksum(text)
	done, err := tx.Exec("INSERT OR IGNORE INTO runs (key, version, name, scenario_hash, seed, finished, lost_pages) VALUES (?,?,?,?,?,?,?)",
		key, r.Version, r.Name, r.Hash, int64(*r.Seed), r.Finished, int64(r.AuditPart.LostPages))
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return s.same(tx, key, sum, err)
	}
	id, err := done.LastInsertId()
	if err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO records (id, checksum, zstd) VALUES (?,?,?)", id, sum, encoder.EncodeAll(text, nil)); err != nil {
		return err
	}
	added := false
	for _, line := range r.rows() {
		more, err := s.addColumns(tx, line)
		if err != nil {
			return err
		}
		added = added || more
		if err := s.insert(tx, id, line); err != nil {
			return err
		}
	}
	if added {
		return s.makeView(tx)
	}
	return nil
}

// same checks that the record of a key is the one that is there.
func (s *Store) same(tx *sql.Tx, key string, sum []byte, err error) error {
	if err != nil {
		return err
	}
	var have []byte
	if err := tx.QueryRow("SELECT checksum FROM records JOIN runs USING (id) WHERE key=?", key).Scan(&have); err != nil {
		return err
	}
	if !bytes.Equal(have, sum) {
		return &Error{s.Path, "run " + key + " is there with another record: the two come from different programs or traces", "keep one of the two stores"}
	}
	return nil
}

func checksum(text []byte) []byte {
	sum := sha256.Sum256(text)
	return sum[:16]
}

var encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))

// maxColumns is SQLite's limit on the columns of a table, less the fixed ones.
const maxColumns = 1900

// addColumns makes the columns that a line needs and its table does not have.
func (s *Store) addColumns(tx *sql.Tx, line row) (added bool, err error) {
	if s.cols[line.tab] == nil {
		if added, err = s.firstColumns(tx, line); added || err != nil {
			return added, err
		}
	}
	for _, f := range line.fields {
		name := column(line.tab, f.name)
		if s.cols[line.tab][name] {
			continue
		}
		if len(s.cols[line.tab]) >= maxColumns {
			return false, s.tooMany()
		}
		// Another process may have added it since this one looked.
		found := 0
		if err := tx.QueryRow("SELECT count(*) FROM columns WHERE tab=? AND name=?", line.tab, name).Scan(&found); err != nil {
			return false, err
		}
		if found == 0 {
			if _, err := tx.Exec(fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s", quote(line.tab), quote(name))); err != nil {
				return false, err
			}
			if _, err := tx.Exec("INSERT INTO columns (tab, name) VALUES (?,?)", line.tab, name); err != nil {
				return false, err
			}
			added = true
		}
		s.note(line.tab, name)
	}
	return added, nil
}

// firstColumns makes the table of a line at once, with all its columns: adding
// them one by one takes SQLite a while. added is false if there is nothing to add,
// or if the table has rows: of records without such values, or of another process
// that was here since this one looked.
func (s *Store) firstColumns(tx *sql.Tx, line row) (added bool, err error) {
	if len(line.fields) == 0 {
		return false, nil
	}
	exists, rows := 0, 0
	if err := tx.QueryRow("SELECT count(*) FROM sqlite_master WHERE name=?", line.tab).Scan(&exists); err != nil {
		return false, err
	}
	if exists != 0 {
		if err := tx.QueryRow("SELECT count(*) FROM (SELECT 1 FROM " + quote(line.tab) + " LIMIT 1)").Scan(&rows); err != nil || rows != 0 {
			return false, err
		}
	}
	if len(line.fields) > maxColumns {
		return false, s.tooMany()
	}
	if _, err := tx.Exec("DELETE FROM columns WHERE tab=?", line.tab); err != nil {
		return false, err
	}
	var cols strings.Builder
	for _, f := range line.fields {
		name := column(line.tab, f.name)
		cols.WriteString(", " + quote(name))
		if _, err := tx.Exec("INSERT INTO columns (tab, name) VALUES (?,?)", line.tab, name); err != nil {
			return false, err
		}
		s.note(line.tab, name)
	}
	create := fmt.Sprintf("CREATE TABLE %s (id INTEGER PRIMARY KEY REFERENCES runs%s)", quote(line.tab), cols.String())
	if line.index >= 0 {
		of := quote(line.of)
		create = fmt.Sprintf("CREATE TABLE %s (id INTEGER NOT NULL REFERENCES runs, %s INTEGER NOT NULL%s, PRIMARY KEY (id, %s)) WITHOUT ROWID", quote(line.tab), of, cols.String(), of)
	}
	_, err = tx.Exec(fmt.Sprintf("DROP TABLE IF EXISTS %s; %s", quote(line.tab), create)) // it has no rows
	return true, err
}

func (s *Store) tooMany() error {
	return &Error{s.Path, fmt.Sprintf("more than %d different statistics or keys", maxColumns), "use one store for each kind of run"}
}

// column is the column of a name: the name, unless the table has another use for it.
func column(tab, name string) string {
	if name == "id" || tab == "per_"+name {
		return name + "_"
	}
	return name
}

func (s *Store) insert(tx *sql.Tx, id int64, line row) error {
	var names, marks strings.Builder
	names.WriteString("id")
	marks.WriteString("?")
	args := []any{id}
	if line.index >= 0 {
		names.WriteString("," + quote(line.of))
		marks.WriteString(",?")
		args = append(args, line.index)
	}
	for _, f := range line.fields {
		names.WriteString("," + quote(column(line.tab, f.name)))
		marks.WriteString(",?")
		args = append(args, f.value)
	}
	_, err := tx.Exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", quote(line.tab), names.String(), marks.String()), args...)
	return err
}

// makeView makes the view that joins what a query about runs needs.
func (s *Store) makeView(tx *sql.Tx) error {
	cols := []string{`runs.*`}
	taken := map[string]bool{}
	for _, name := range []string{"id", "key", "version", "name", "scenario_hash", "seed", "finished", "lost_pages"} {
		taken[name] = true
	}
	for _, tab := range []string{"config", "stats"} {
		names, err := columnNames(tx, tab)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !taken[name] {
				taken[name] = true
				cols = append(cols, tab+"."+quote(name))
			}
		}
	}
	if len(cols) > maxColumns {
		cols = cols[:maxColumns]
	}
	_, err := tx.Exec("DROP VIEW IF EXISTS results; CREATE VIEW results AS SELECT " + strings.Join(cols, ", ") + " FROM runs JOIN config USING (id) JOIN stats USING (id)")
	return err
}

func columnNames(tx *sql.Tx, tab string) (names []string, err error) {
	rows, err := tx.Query("SELECT name FROM columns WHERE tab=? ORDER BY name", tab)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
