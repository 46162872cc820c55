package store

import (
	"fmt"
	"math"
)

// Verify compares everything in the store with the records that it was made from:
// their checksums, and every column of every run. It returns how many runs it looked at;
// the first difference is an error.
func (s *Store) Verify() (runs int, err error) {
	var result string
	if err := s.db.QueryRow("PRAGMA integrity_check(1)").Scan(&result); err != nil {
		return 0, s.wrap(err)
	}
	if result != "ok" {
		return 0, s.damaged(result)
	}
	var ids []int64
	var keys []string
	rows, err := s.db.Query("SELECT id, key FROM runs ORDER BY id")
	if err != nil {
		return 0, s.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var key string
		if err := rows.Scan(&id, &key); err != nil {
			return 0, s.wrap(err)
		}
		ids, keys = append(ids, id), append(keys, key)
	}
	if err := rows.Err(); err != nil {
		return 0, s.wrap(err)
	}
	rows.Close()
	for i, key := range keys {
		text, ok, err := s.Record(key)
		if err != nil {
			return i, err
		}
		if !ok {
			return i, s.damaged("run " + key + " has no record")
		}
		r, err := parseRecord(text)
		if err != nil {
			return i, s.damaged("run " + key + ": " + err.Error())
		}
		for _, line := range append(r.rows(), row{tab: "runs", index: -1, fields: []field{
			{"version", r.Version}, {"name", r.Name}, {"scenario_hash", r.Hash}, {"seed", int64(*r.Seed)}, {"finished", r.Finished}, {"lost_pages", int64(r.AuditPart.LostPages)},
		}}) {
			if err := s.verifyRow(ids[i], key, line); err != nil {
				return i, err
			}
		}
	}
	return len(keys), nil
}

// verifyRow compares one line of a table with what the record says.
func (s *Store) verifyRow(id int64, key string, line row) error {
	where, args := "id=?", []any{id}
	if line.index >= 0 {
		where, args = where+" AND "+quote(line.of)+"=?", append(args, line.index)
	}
	rows, err := s.db.Query("SELECT * FROM "+quote(line.tab)+" WHERE "+where, args...)
	if err != nil {
		return s.wrap(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return s.wrap(err)
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return s.wrap(err)
		}
		return s.damaged(fmt.Sprintf("run %s is missing in table %s", key, line.tab))
	}
	if err := rows.Scan(into...); err != nil {
		return s.wrap(err)
	}
	have := map[string]any{}
	for i, name := range names {
		have[name] = values[i]
	}
	for _, f := range line.fields {
		if name := column(line.tab, f.name); !equal(have[name], f.value) {
			return s.damaged(fmt.Sprintf("run %s has %s %v in table %s, and %v in its record", key, name, have[name], line.tab, f.value))
		}
	}
	return nil
}

// equal compares a value of SQLite with that of a record: it has no booleans, and
// keeps a real that is whole as an integer or not, as it likes.
func equal(got, want any) bool {
	if b, ok := want.(bool); ok {
		want = int64(0)
		if b {
			want = int64(1)
		}
	}
	g, gok := asFloat(got)
	w, wok := asFloat(want)
	if gok && wok {
		return g == w || math.IsNaN(g) && math.IsNaN(w)
	}
	return got == want
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
