package store

import (
	"fmt"
)

// mergeBatch is how many runs are copied in one transaction.
const mergeBatch = 256

// Merge copies everything of another store into this one. Runs that both have
// must be equal, and so must sweeps of one name: shards of one sweep are.
func (s *Store) Merge(from *Store) error {
	if err := s.mergeSweeps(from); err != nil {
		return err
	}
	var keys []string
	rows, err := from.db.Query("SELECT key FROM runs ORDER BY id")
	if err != nil {
		return from.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return from.wrap(err)
		}
		keys = append(keys, key)
	}
	if err := rows.Err(); err != nil {
		return from.wrap(err)
	}
	rows.Close()
	for len(keys) > 0 {
		n := min(mergeBatch, len(keys))
		texts := make([][]byte, n)
		for i, key := range keys[:n] {
			text, ok, err := from.Record(key)
			if err != nil {
				return err
			}
			if !ok {
				return from.damaged("run " + key + " has no record")
			}
			texts[i] = text
		}
		if err := s.PutAll(keys[:n], texts); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return s.mergeBaselines(from)
}

func (s *Store) mergeBaselines(from *Store) error {
	type baseline struct {
		key, vcpus           string
		cycles, instructions int64
	}
	var list []baseline
	rows, err := from.db.Query("SELECT key, cycles, instructions, vcpus FROM baselines")
	if err != nil {
		return from.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var b baseline
		if err := rows.Scan(&b.key, &b.cycles, &b.instructions, &b.vcpus); err != nil {
			return from.wrap(err)
		}
		list = append(list, b)
	}
	if err := rows.Err(); err != nil {
		return from.wrap(err)
	}
	for _, b := range list {
		if err := s.PutBaseline(b.key, uint64(b.cycles), uint64(b.instructions), b.vcpus); err != nil {
			return err
		}
	}
	return nil
}

// mergeSweeps copies sweeps that this store does not have, and compares others.
func (s *Store) mergeSweeps(from *Store) error {
	theirs, err := from.Sweeps()
	if err != nil {
		return err
	}
	ours, err := s.Sweeps()
	if err != nil {
		return err
	}
	for _, a := range theirs {
		points, err := from.Points(a.Name)
		if err != nil {
			return err
		}
		have := false
		for _, b := range ours {
			if b.Name != a.Name {
				continue
			}
			have = true
			mine, err := s.Points(b.Name)
			if err != nil {
				return err
			}
			if !samePoints(mine, points) {
				return &Error{from.Path, fmt.Sprintf("its sweep %q has other points than the one in %s", a.Name, s.Path), "merge shards of the same file and the same ringmap, or give the sweeps different names"}
			}
		}
		if !have {
			if err := s.PutSweep(a, points); err != nil {
				return err
			}
		}
	}
	return nil
}

func samePoints(a, b []Point) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Key != b[i].Key {
			return false
		}
	}
	return true
}
