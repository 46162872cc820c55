package store

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// About is what a store knows of a sweep, beside its points.
type About struct {
	Name         string   `json:"name"`
	Axes         []Axis   `json:"axes"`
	Stats        []string `json:"stats"`        // what its report is about
	Combinations int      `json:"combinations"` // of all values
	Excluded     int      `json:"excluded"`     // of these, by conditions
	Merged       int      `json:"merged"`       // of these, alike
}

// Axis is one direction of a sweep.
type Axis struct {
	Key       string    `json:"key"`
	Values    []string  `json:"values"`
	Numbers   []float64 `json:"numbers,omitempty"` // in base units; nil if the values have no order
	Replicate bool      `json:"replicate,omitempty"`
}

// Point is one point of a sweep; Labels are the values of its axes, "" where one
// does not apply.
type Point struct {
	Ordinal int
	Labels  []string
	Key     string
	Done    bool // its record is in the store
}

// PutSweep stores a sweep and its points, in place of an older one of that name.
func (s *Store) PutSweep(about About, points []Point) error {
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	return s.transact(func(tx *sql.Tx) error {
		for _, del := range []string{"DELETE FROM points WHERE sweep=?", "DELETE FROM sweeps WHERE name=?"} {
			if _, err := tx.Exec(del, about.Name); err != nil {
				return err
			}
		}
		if _, err := tx.Exec("INSERT INTO sweeps (name, about) VALUES (?,?)", about.Name, string(text)); err != nil {
			return err
		}
		insert, err := tx.Prepare("INSERT INTO points (sweep, ordinal, labels, key) VALUES (?,?,?,?)")
		if err != nil {
			return err
		}
		defer insert.Close()
		for _, p := range points {
			labels, err := json.Marshal(p.Labels)
			if err != nil {
				return err
			}
			if _, err := insert.Exec(about.Name, p.Ordinal, string(labels), p.Key); err != nil {
				return err
			}
		}
		return nil
	})
}

// Sweeps lists the sweeps of the store by name.
func (s *Store) Sweeps() (list []About, err error) {
	rows, err := s.db.Query("SELECT about FROM sweeps ORDER BY name")
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, s.wrap(err)
		}
		var a About
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			return nil, s.damaged("a sweep: " + err.Error())
		}
		list = append(list, a)
	}
	return list, s.wrap(rows.Err())
}

// Points lists the points of a sweep in their order.
func (s *Store) Points(sweep string) (list []Point, err error) {
	rows, err := s.db.Query("SELECT ordinal, labels, p.key, r.id IS NOT NULL FROM points p LEFT JOIN runs r ON r.key = p.key WHERE sweep=? ORDER BY ordinal", sweep)
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var p Point
		var labels string
		if err := rows.Scan(&p.Ordinal, &labels, &p.Key, &p.Done); err != nil {
			return nil, s.wrap(err)
		}
		if err := json.Unmarshal([]byte(labels), &p.Labels); err != nil {
			return nil, s.damaged("a point: " + err.Error())
		}
		list = append(list, p)
	}
	return list, s.wrap(rows.Err())
}

// Has tells whether the run of a key is in the store.
func (s *Store) Has(key string) (bool, error) {
	n := 0
	err := s.db.QueryRow("SELECT count(*) FROM runs WHERE key=?", key).Scan(&n)
	return n != 0, s.wrap(err)
}

// Record returns the record of a run: the bytes that were stored, which its
// checksum proves. ok is false if there is none.
func (s *Store) Record(key string) (text []byte, ok bool, err error) {
	var sum, packed []byte
	err = s.db.QueryRow("SELECT checksum, zstd FROM records JOIN runs USING (id) WHERE key=?", key).Scan(&sum, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, s.wrap(err)
	}
	text, err = s.unpack(key, sum, packed)
	return text, err == nil, err
}

func (s *Store) unpack(key string, sum, packed []byte) ([]byte, error) {
	text, err := decoder.DecodeAll(packed, nil)
	if err != nil || !bytes.Equal(checksum(text), sum) {
		return nil, s.damaged("the record of run " + key + " is not what was stored")
	}
	return text, nil
}

// maxRecord bounds what a damaged store can make us unpack.
const maxRecord = 256 << 20

var decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRecord))

// Baseline returns what the run of that key with tracking off came to; vcpus is
// for whoever has put it there.
func (s *Store) Baseline(key string) (cycles, instructions uint64, vcpus string, ok bool, err error) {
	var c, i int64
	err = s.db.QueryRow("SELECT cycles, instructions, vcpus FROM baselines WHERE key=?", key).Scan(&c, &i, &vcpus)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, "", false, nil
	}
	return uint64(c), uint64(i), vcpus, err == nil, s.wrap(err)
}

// PutBaseline stores what a run with tracking off came to.
func (s *Store) PutBaseline(key string, cycles, instructions uint64, vcpus string) error {
	_, err := s.db.Exec("INSERT OR IGNORE INTO baselines (key, cycles, instructions, vcpus) VALUES (?,?,?,?)", key, int64(cycles), int64(instructions), vcpus)
	return s.wrap(err)
}

// Values reads statistics of all points of a sweep, in order: one row a point, in
// it one value for each name, NaN where the run is not there or has none.
func (s *Store) Values(sweep string, names []string) (rows [][]float64, err error) {
	var cols strings.Builder
	for _, name := range names {
		if !s.cols["stats"][column("stats", name)] {
			cols.WriteString(", NULL")
			continue
		}
		cols.WriteString(", s." + quote(column("stats", name)))
	}
	out, err := s.db.Query("SELECT p.ordinal"+cols.String()+" FROM points p LEFT JOIN runs r ON r.key = p.key LEFT JOIN stats s ON s.id = r.id WHERE p.sweep=? ORDER BY p.ordinal", sweep)
	if err != nil {
		return nil, s.wrap(err)
	}
	defer out.Close()
	ordinal := 0
	values, into := make([]sql.NullFloat64, len(names)), []any{&ordinal}
	for i := range values {
		into = append(into, &values[i])
	}
	for out.Next() {
		if err := out.Scan(into...); err != nil {
			return nil, s.wrap(err)
		}
		row := make([]float64, len(names))
		for i, v := range values {
			if row[i] = v.Float64; !v.Valid {
				row[i] = math.NaN()
			}
		}
		rows = append(rows, row)
	}
	return rows, s.wrap(out.Err())
}

// StatNames lists the statistics that its runs have, those of single vCPUs not
// among them.
func (s *Store) StatNames() []string {
	names := slices.Collect(maps.Keys(s.cols["stats"]))
	slices.Sort(names)
	return names
}
