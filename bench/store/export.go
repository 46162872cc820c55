package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// EachRun calls f for every finished point of a sweep, in order, with its record.
func (s *Store) EachRun(sweep string, f func(p Point, record []byte) error) error {
	points, err := s.Points(sweep)
	if err != nil {
		return err
	}
	for _, p := range points {
		if !p.Done {
			continue
		}
		text, ok, err := s.Record(p.Key)
		if err != nil {
			return err
		}
		if !ok {
			return s.damaged("run " + p.Key + " has no record")
		}
		if err := f(p, text); err != nil {
			return err
		}
	}
	return nil
}

// ExportJSONL writes one line for each point: its place in the sweep, its axes,
// its key and the whole record.
func (s *Store) ExportJSONL(about About, out io.Writer) error {
	w := bufio.NewWriter(out)
	err := s.EachRun(about.Name, func(p Point, record []byte) error {
		var line bytes.Buffer
		fmt.Fprintf(&line, `{"sweep":%s,"point":%d,"axes":{`, jsonText(about.Name), p.Ordinal)
		first := true
		for i, label := range p.Labels {
			if label == "" {
				continue
			}
			if !first {
				line.WriteByte(',')
			}
			first = false
			fmt.Fprintf(&line, "%s:%s", jsonText(about.Axes[i].Key), jsonText(label))
		}
		fmt.Fprintf(&line, `},"key":%s,"record":`, jsonText(p.Key))
		if err := json.Compact(&line, record); err != nil {
			return s.damaged(err.Error())
		}
		line.WriteString("}\n")
		_, err := w.Write(line.Bytes())
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

func jsonText(s string) string {
	text, _ := json.Marshal(s) // a string always marshals
	return string(text)
}
