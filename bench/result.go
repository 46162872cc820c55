package bench

import (
	"bytes"
	"encoding/json"
	"strconv"

	"ringmap/bench/scenario"
	"ringmap/sim"
)

// Version of the program. It is part of every result record and snapshot: the
// same scenario and seed give the same bytes for the same version.
const Version = "0.1.0"

// Result is the record of one run. It depends on scenario, seed and version
// alone: no wall time, no machine, no number of workers.
type Result struct {
	Version   string        `json:"version"`
	Name      string        `json:"name"`
	Hash      string        `json:"scenario_hash"` // of the effective scenario and the contents of its trace
	Seed      uint64        `json:"seed"`
	Finished  string        `json:"finished"`                    // why the run ended
	Exit      *int64        `json:"guest_exit_status,omitempty"` // what the guest's last line EXIT: STATUS=n says
	Scenario  []scenario.KV `json:"-"`
	Derived   []scenario.KV `json:"-"`
	Stats     []sim.Stat    `json:"-"`
	Audit     AuditRecord   `json:"audit"`
	Epochs    []Epoch       `json:"epochs,omitempty"`
	Failover  string        `json:"failover,omitempty"` // the primary died: who runs the VM, backup or nobody
	Migration *Migration    `json:"migration,omitempty"`
	Threads   []ThreadTime  `json:"threads"`
	Figures   Figures       `json:"figures"`
	Hashes    []StateHash   `json:"state_hashes,omitempty"`
	Series    *SeriesRecord `json:"series,omitempty"`
	Kernel    []string      `json:"kernel_warnings"` // functions that warned once, in order
	Findings  []string      `json:"findings"`        // what a real VMM would have died of
	Warnings  []string      `json:"warnings"`        // implausible settings

	// Not part of the record.
	Cycles        uint64   `json:"-"` // simulated in all
	Writes        uint64   `json:"-"` // guest stores; of a program nobody counts them
	Instructions  uint64   `json:"-"` // of a program
	Audited       bool     `json:"-"`
	Failed        bool     `json:"-"` // pages were lost and the scenario says that this fails
	Console       []byte   `json:"-"` // what the guest wrote to its UART
	Profile       []byte   `json:"-"` // gzipped profile.proto, when asked for
	Trace         []byte   `json:"-"` // Chrome trace events, when asked for
	TraceOmitted  uint64   `json:"-"` // events beyond the limit
	Snapshot      []byte   `json:"-"` // file contents, when one was asked for
	SnapshotCycle uint64   `json:"-"`
	Story         []string `json:"-"` // of the watched page
	Verdict       string   `json:"-"` // how it ended
}

// AuditRecord is what the audit found.
type AuditRecord struct {
	LostPages   uint64       `json:"lost_pages"`
	Causes      []CausePages `json:"causes"`       // of lost pages
	Lost        []LostPage   `json:"lost"`         // the first ones, see audit.list
	Records     []CausePages `json:"lost_records"` // of the kernel; not each costs a page
	Collections []Collection `json:"collections"`
}

// Collection is what one collection found; see package audit.
type Collection struct {
	Opened   uint64 `json:"opened"`
	Closed   uint64 `json:"closed"`
	Changed  uint64 `json:"changed"`
	Reported uint64 `json:"reported"`
	Missed   uint64 `json:"missed"`
	Late     uint64 `json:"late"`
	Spurious uint64 `json:"spurious"`
}

// CausePages counts pages or records by cause.
type CausePages struct {
	Cause string `json:"cause"`
	Count uint64 `json:"count"`
}

// LostPage is a page whose last bytes never reached the destination.
type LostPage struct {
	GFN    uint64 `json:"gfn"`
	Cause  string `json:"cause"`
	Cycle  uint64 `json:"cycle"` // when its record was lost, 0 = not known
	Writer string `json:"writer"`
}

// ThreadTime says where the cycles of one host thread went.
type ThreadTime struct {
	Name   string        `json:"name"`
	Total  uint64        `json:"cycles"`
	Causes []CauseCycles `json:"causes"`
}

// CauseCycles are cycles spent on one cause.
type CauseCycles struct {
	Cause  string `json:"cause"`
	Cycles uint64 `json:"cycles"`
}

// Figures says where the numbers of the cost profile come from.
type Figures struct {
	Profile   string   `json:"profile"`
	Measured  []string `json:"measured"` // rows of published measurements
	Fitted    []string `json:"fitted"`
	Predicted []string `json:"predicted"` // no published row says this number
	Note      string   `json:"note"`
}

// StateHash is the hash of the whole simulated state at a cycle.
type StateHash struct {
	Cycle uint64 `json:"cycle"`
	Hash  string `json:"hash"`
}

// JSON is the record as it is stored and printed: keys in a fixed order,
// statistics sorted by name, one line a value.
func (r *Result) JSON() ([]byte, error) {
	type plain Result
	body, err := json.Marshal((*plain)(r))
	if err != nil {
		return nil, err
	}
	// The three tables keep the order of the scenario and of the statistics,
	// which a Go map would not.
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(body, []byte("}")))
	b.WriteString(`,"scenario":`)
	writeKVs(&b, r.Scenario)
	b.WriteString(`,"derived":`)
	writeKVs(&b, r.Derived)
	b.WriteString(`,"stats":{`)
	for i, s := range r.Stats {
		if i > 0 {
			b.WriteByte(',')
		}
		writeStat(&b, s)
	}
	b.WriteString("}}")
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func writeKVs(b *bytes.Buffer, kvs []scenario.KV) {
	b.WriteByte('{')
	for i, kv := range kvs {
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(b, kv.Key)
		b.WriteByte(':')
		if kv.Number {
			b.WriteString(kv.Value)
		} else {
			writeString(b, kv.Value)
		}
	}
	b.WriteByte('}')
}

// writeStat writes "name": value; a level and a histogram become several names.
func writeStat(b *bytes.Buffer, s sim.Stat) {
	field := func(suffix, value string) {
		if suffix != "" {
			b.WriteByte(',')
		}
		writeString(b, s.Name+suffix)
		b.WriteByte(':')
		b.WriteString(value)
	}
	switch s.Kind {
	case sim.KindCounter:
		field("", strconv.FormatUint(s.Exact, 10))
	case sim.KindLevel:
		field("", number(s.Value))
		field(".max", strconv.FormatUint(s.Level.Max, 10))
	case sim.KindHistogram:
		field("", number(s.Value))
		field(".count", strconv.FormatUint(s.Exact, 10))
		field(".p50", strconv.FormatUint(s.Histogram.Quantile(50, 100), 10))
		field(".p99", strconv.FormatUint(s.Histogram.Quantile(99, 100), 10))
		field(".max", strconv.FormatUint(s.Histogram.Max, 10))
	default:
		field("", number(s.Value))
	}
}

// StatFields are the names under which a record holds a statistic.
func StatFields(s sim.Stat) []string {
	switch s.Kind {
	case sim.KindLevel:
		return []string{s.Name, s.Name + ".max"}
	case sim.KindHistogram:
		return []string{s.Name, s.Name + ".count", s.Name + ".p50", s.Name + ".p99", s.Name + ".max"}
	}
	return []string{s.Name}
}

// number prints nine significant digits: enough for a ratio, and blind to the
// last bit of a division.
func number(v float64) string {
	if v != v || v > 1e300 || v < -1e300 {
		return "null"
	}
	return strconv.FormatFloat(v, 'g', 9, 64)
}

func writeString(b *bytes.Buffer, s string) {
	text, _ := json.Marshal(s) // a string always marshals
	b.Write(text)
}

// Stat returns the value of a statistic, 0 if there is none of that name.
func (r *Result) Stat(name string) float64 {
	v, _ := r.Lookup(name)
	return v
}

// Lookup returns the value of a statistic and whether there is one of that name.
func (r *Result) Lookup(name string) (float64, bool) {
	for i := range r.Stats {
		if r.Stats[i].Name == name {
			return r.Stats[i].Value, true
		}
	}
	return 0, false
}

// Config returns the text of an effective key or a derived value.
func (r *Result) Config(key string) string {
	for _, list := range [][]scenario.KV{r.Scenario, r.Derived} {
		for _, kv := range list {
			if kv.Key == key {
				return kv.Value
			}
		}
	}
	return ""
}

// Number returns a derived value as a number.
func (r *Result) Number(key string) uint64 {
	n, _ := strconv.ParseUint(r.Config(key), 10, 64)
	return n
}
