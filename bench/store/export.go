package store

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"ringmap/bench/gobench"
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

// ExportCSV writes one line for each finished point: its place, its axes, its key
// and the statistics that are named.
func (s *Store) ExportCSV(about About, stats []string, out io.Writer) error {
	points, rows, err := s.finished(about, stats)
	if err != nil {
		return err
	}
	w := csv.NewWriter(out)
	head := []string{"point"}
	for _, a := range about.Axes {
		head = append(head, a.Key)
	}
	if err := w.Write(append(append(head, "key"), stats...)); err != nil {
		return err
	}
	for i, p := range points {
		line := append([]string{strconv.Itoa(p.Ordinal)}, p.Labels...)
		line = append(line, p.Key)
		for _, v := range rows[i] {
			text := ""
			if v == v {
				text = strconv.FormatFloat(v, 'g', -1, 64)
			}
			line = append(line, text)
		}
		if err := w.Write(line); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// ExportBench writes one benchmark line for each finished point, with the axes as
// key=value in its name: see package gobench. better gives the direction of a
// statistic.
func (s *Store) ExportBench(about About, stats []string, better func(name string) int, out io.Writer) error {
	points, values, err := s.finished(about, stats)
	if err != nil {
		return err
	}
	var rows []gobench.Row
	for i, p := range points {
		row := gobench.Row{Axes: []gobench.Axis{{Key: "sweep", Value: about.Name}}}
		for a, label := range p.Labels {
			if label != "" {
				row.Axes = append(row.Axes, gobench.Axis{Key: about.Axes[a].Key, Value: label})
			}
		}
		for k, v := range values[i] {
			if v == v {
				row.Values = append(row.Values, gobench.Value{Unit: stats[k], Value: v, Exact: true, Better: better(stats[k])})
			}
		}
		rows = append(rows, row)
	}
	return gobench.Write(out, []gobench.Config{{Key: "pkg", Value: "ringmap"}}, rows)
}

// finished are the finished points of a sweep with their statistics.
func (s *Store) finished(about About, stats []string) (points []Point, rows [][]float64, err error) {
	all, err := s.Points(about.Name)
	if err != nil {
		return nil, nil, err
	}
	values, err := s.Values(about.Name, stats)
	if err != nil {
		return nil, nil, err
	}
	for i, p := range all {
		if p.Done && i < len(values) {
			points, rows = append(points, p), append(rows, values[i])
		}
	}
	return points, rows, nil
}

func jsonText(s string) string {
	text, _ := json.Marshal(s) // a string always marshals
	return string(text)
}
