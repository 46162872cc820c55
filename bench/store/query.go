package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Query runs one SQL statement that reads, and calls head with the names of the
// columns and then row with each row: int64, float64, string, []byte or nil.
func (s *Store) Query(sql string, head func([]string) error, row func([]any) error) error {
	rows, err := s.db.Query(sql)
	if err != nil {
		return s.queryError(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return s.queryError(err)
	}
	if len(names) == 0 {
		return &Error{s.Path, "the statement reads nothing", "write a SELECT"}
	}
	if err := head(names); err != nil {
		return err
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return s.queryError(err)
		}
		if err := row(values); err != nil {
			return err
		}
	}
	return s.queryError(rows.Err())
}

// queryError adds how to find the names.
func (s *Store) queryError(err error) error {
	var code *sqlite.Error
	if errors.As(err, &code) && code.Code()&0xff == sqlite3.SQLITE_READONLY {
		return &Error{s.Path, "a query reads, and this statement writes", "write a SELECT"}
	}
	if err = s.wrap(err); err == nil {
		return nil
	}
	return fmt.Errorf("%w; names with a dot stand in double quotes, and `ringmap store info %s --columns` lists them", err, s.Path)
}

// Column is one column that a query can name.
type Column struct {
	Table string `json:"table"`
	Name  string `json:"name"`
}

// Columns lists the columns that records brought, by table.
func (s *Store) Columns() (list []Column, err error) {
	rows, err := s.db.Query("SELECT tab, name FROM columns ORDER BY tab, name")
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c Column
		if err := rows.Scan(&c.Table, &c.Name); err != nil {
			return nil, s.wrap(err)
		}
		list = append(list, c)
	}
	return list, s.wrap(rows.Err())
}
