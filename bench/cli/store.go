package cli

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"ringmap/bench/store"
)

func storeCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Ask, join and look into stores of records",
		Long: `A store is one SQLite file, which any SQLite reads. Tables: runs, config (one
column for each key of the scenario), stats (one for each statistic), per_vcpu
(one row for each vCPU), sweeps, points; the view results joins the first three.`,
		Example: `  ringmap store info linux.db
  ringmap store sql linux.db 'SELECT "tracking.ring", avg("guest.slowdown") FROM results GROUP BY 1'
  ringmap store merge all.db linux.1-of-4.db linux.2-of-4.db linux.3-of-4.db linux.4-of-4.db`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown("command", args[0], commandNames(cmd))
		},
	}
	cmd.AddCommand(storeInfo(t), storeSQL(t), storeMerge(t), storeCheck(t))
	return cmd
}

// openStore opens a store to read it, for the time of f.
func openStore(path string, f func(*store.Store) error) (err error) {
	st, err := store.OpenRead(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return f(st)
}

// sweepInfo is what `store info` says of a sweep.
type sweepInfo struct {
	store.About
	Points   int `json:"points"`
	Finished int `json:"finished"`
}

func storeInfo(t *terminal) *cobra.Command {
	var asJSON, columns bool
	cmd := &cobra.Command{
		Use:   "info STORE",
		Short: "List the sweeps of a store and how far they are",
		Example: `  ringmap store info linux.db
  ringmap store info linux.db --columns`,
		Args: exactly(1, "a store"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.Flags().BoolVar(&columns, "columns", false, "list the columns that a query can name")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return openStore(args[0], func(st *store.Store) error {
			if columns {
				return listColumns(t, st, asJSON)
			}
			var list []sweepInfo
			abouts, err := st.Sweeps()
			if err != nil {
				return err
			}
			for _, a := range abouts {
				points, err := st.Points(a.Name)
				if err != nil {
					return err
				}
				info := sweepInfo{About: a, Points: len(points)}
				for _, p := range points {
					if p.Done {
						info.Finished++
					}
				}
				list = append(list, info)
			}
			if asJSON {
				return printJSON(t, list)
			}
			out := &table{heads: []string{"sweep", "points", "finished", "axes<"}}
			for _, i := range list {
				axes := ""
				for k, a := range i.Axes {
					if k > 0 {
						axes += " × "
					}
					axes += fmt.Sprintf("%s (%d)", a.Key, len(a.Values))
				}
				out.row(i.Name, strconv.Itoa(i.Points), strconv.Itoa(i.Finished), axes)
			}
			copyLines(t.out, out.lines())
			return nil
		})
	}
	return cmd
}

func listColumns(t *terminal, st *store.Store, asJSON bool) error {
	list, err := st.Columns()
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(t, list)
	}
	out := &table{heads: []string{"table", "column<"}}
	for _, c := range list {
		out.row(c.Table, `"`+c.Name+`"`)
	}
	copyLines(t.out, out.lines())
	return nil
}

func storeSQL(t *terminal) *cobra.Command {
	var asJSON, asCSV bool
	cmd := &cobra.Command{
		Use:   "sql STORE QUERY",
		Short: "Ask a store in SQL",
		Example: `  ringmap store sql linux.db 'SELECT "tracking.ring", avg("guest.slowdown") FROM results GROUP BY 1'
  ringmap store sql linux.db 'SELECT vcpu, sum("ring.full_exits") FROM per_vcpu GROUP BY vcpu' --csv`,
		Args: exactly(2, "a store and a query"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a row")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print as CSV")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return openStore(args[0], func(st *store.Store) error {
			switch {
			case asJSON:
				return queryJSON(t, st, args[1])
			case asCSV:
				w := csv.NewWriter(t.out)
				err := st.Query(args[1], w.Write, func(row []any) error { return w.Write(cellTexts(row)) })
				w.Flush()
				return err
			}
			var rows *table
			err := st.Query(args[1], func(names []string) error {
				if len(names) > maxTable {
					return fmt.Errorf("%d columns are too many for a table; name fewer, or add --csv or --json", len(names))
				}
				rows = &table{heads: names}
				return nil
			}, func(row []any) error {
				rows.row(cellTexts(row)...)
				return nil
			})
			if err == nil {
				copyLines(t.out, rows.lines())
			}
			return err
		})
	}
	return cmd
}

// maxTable is how many columns a table can align.
const maxTable = 16

func cellTexts(row []any) []string {
	texts := make([]string, len(row))
	for i, v := range row {
		switch v := v.(type) {
		case nil:
		case float64:
			texts[i] = strconv.FormatFloat(v, 'g', 9, 64)
		case []byte:
			texts[i] = fmt.Sprintf("%x", v)
		default:
			texts[i] = fmt.Sprint(v)
		}
	}
	return texts
}

func queryJSON(t *terminal, st *store.Store, query string) error {
	var names []string
	return st.Query(query, func(n []string) error { names = n; return nil }, func(row []any) error {
		t.out.WriteByte('{')
		for i, v := range row {
			name, _ := json.Marshal(names[i]) // a string always marshals
			value, err := json.Marshal(v)
			if err != nil {
				return err
			}
			if i > 0 {
				t.out.WriteByte(',')
			}
			fmt.Fprintf(t.out, "%s:%s", name, value)
		}
		t.out.WriteString("}\n")
		return nil
	})
}

func storeMerge(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:     "merge INTO STORE...",
		Short:   "Join stores, such as the shards of a sweep",
		Example: "  ringmap store merge all.db linux.*-of-4.db",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("%s needs the store to merge into and at least one other; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())
			}
			var from []*store.Store
			for _, path := range args[1:] { // all of them, before anything is written
				st, err := store.OpenRead(path)
				if err != nil {
					return err
				}
				defer st.Close()
				from = append(from, st)
			}
			into, err := store.Open(args[0])
			if err != nil {
				return err
			}
			for _, st := range from {
				if err := into.Merge(st); err != nil {
					return errors.Join(err, into.Close())
				}
			}
			return into.Close()
		},
	}
}

func storeCheck(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:     "check STORE",
		Short:   "Compare everything in a store with the records it was made from",
		Example: "  ringmap store check linux.db",
		Args:    exactly(1, "a store"),
		RunE: func(_ *cobra.Command, args []string) error {
			return openStore(args[0], func(st *store.Store) error {
				n, err := st.Verify()
				if err == nil {
					fmt.Fprintf(t.out, "%s: all of %s as recorded\n", st.Path, count(n, "run"))
				}
				return err
			})
		},
	}
}
