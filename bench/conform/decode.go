package conform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"ringmap/mmu"
	"ringmap/workloads/script"
)

// scenario is one line of a recording.
type scenario struct {
	ID       string            `json:"id"`
	Scenario string            `json:"scenario"`
	Arch     string            `json:"arch"`
	Kernel   string            `json:"kernel"`
	PageSize uint64            `json:"page_size"`
	Params   json.RawMessage   `json:"params"`
	Events   []json.RawMessage `json:"events"`
	Warn     []string          `json:"warn"`
	DMesg    []string          `json:"dmesg"` // for people

	ops []operation
}

// operation is one event: what the VMM did, and what came of it.
type operation interface {
	name() string
	// replay does the same on the model and compares what came of it.
	replay(w *world)
}

// operations makes an empty event of each op that a recording may hold.
var operations = map[string]func() operation{
	"create_vm":              func() operation { return &createVM{} },
	"destroy_vm_keep_memory": func() operation { return &destroyVM{} },
	"enable_cap":             func() operation { return &enableCap{} },
	"enable_cap_null":        func() operation { return &nullArgument{} },
	"check_extension":        func() operation { return &checkExtension{} },
	"set_memory_region":      func() operation { return &setMemoryRegion{} },
	"create_vcpu":            func() operation { return &createVCPU{} },
	"mmap_vcpu":              func() operation { return &mmapVCPU{} },
	"guest_program":          func() operation { return &guestProgram{} },
	"run":                    func() operation { return &run{} },
	"set_immediate_exit":     func() operation { return &setImmediateExit{} },
	"harvest":                func() operation { return &harvest{} },
	"mark":                   func() operation { return &mark{} },
	"poke_ring":              func() operation { return &pokeRing{} },
	"ring_state":             func() operation { return &ringState{} },
	"ring_dump":              func() operation { return &ringDump{} },
	"reset_dirty_rings":      func() operation { return &resetDirtyRings{} },
	"get_dirty_log":          func() operation { return &getDirtyLog{} },
	"get_dirty_log_nullarg":  func() operation { return &nullArgument{} },
	"clear_dirty_log":        func() operation { return &clearDirtyLog{} },
	"host_write":             func() operation { return &hostWrite{} },
	"host_fill":              func() operation { return &hostFill{} },
	"host_read":              func() operation { return &hostRead{} },
	"its_cmd":                func() operation { return &itsCommand{} },
	"create_device":          func() operation { return &createDevice{} },
	"set_attr":               func() operation { return &setAttr{} },
	"get_attr":               func() operation { return &getAttr{} },
	"ctrl":                   func() operation { return &ctrl{} },
	"signal_msi":             func() operation { return &signalMSI{} },
	"pvtime_set":             func() operation { return &pvtimeSet{} },
	"note":                   func() operation { return &note{} },
}

// event is what all events have.
type event struct {
	Op string `json:"op"`
}

func (e event) name() string { return e.Op }

// result is what an ioctl returned.
type result struct {
	event
	Ret int64  `json:"ret"`
	Err string `json:"err"`
}

// word is a 64-bit number that recordings write as a hex string.
type word uint64

func (w *word) UnmarshalJSON(b []byte) error {
	digits, ok := strings.CutPrefix(strings.Trim(string(b), `"`), "0x")
	n, err := strconv.ParseUint(digits, 16, 64)
	if !ok || err != nil || b[0] != '"' {
		return fmt.Errorf("want a hex string such as \"0x1000\", have %s", b)
	}
	*w = word(n)
	return nil
}

// bitRun is Length bits of a bitmap from Start on.
type bitRun struct{ Start, Length uint64 }

func (r *bitRun) UnmarshalJSON(b []byte) error { return tuple(b, &r.Start, &r.Length) }

// valueRun is [value, count] of ring_dump's flags.
type valueRun struct {
	Value uint32
	Count uint64
}

func (r *valueRun) UnmarshalJSON(b []byte) error { return tuple(b, &r.Value, &r.Count) }

// entryRun is [slot, first offset, stride, count] of ring entries; offsets are
// signed in print only.
type entryRun struct {
	Slot          uint32
	First, Stride int64
	Count         uint64
}

func (r *entryRun) UnmarshalJSON(b []byte) error {
	return tuple(b, &r.Slot, &r.First, &r.Stride, &r.Count)
}

// memoryWord is [gpa, value] of host_read.
type memoryWord struct{ GPA, Value word }

func (m *memoryWord) UnmarshalJSON(b []byte) error { return tuple(b, &m.GPA, &m.Value) }

// dwords are DW0 to DW3 of an ITS command.
type dwords [4]word

func (d *dwords) UnmarshalJSON(b []byte) error { return tuple(b, &d[0], &d[1], &d[2], &d[3]) }

// tuple decodes a JSON array of fixed length.
func tuple(b []byte, to ...any) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil || len(parts) != len(to) {
		return fmt.Errorf("want an array of %d values, have %s", len(to), b)
	}
	for i := range parts {
		if err := json.Unmarshal(parts[i], to[i]); err != nil {
			return err
		}
	}
	return nil
}

// decodeScenario decodes one line strictly.
func decodeScenario(line []byte) (*scenario, error) {
	s := &scenario{}
	if err := strict(line, s); err != nil {
		return nil, err
	}
	if s.PageSize != 4096 {
		return nil, fmt.Errorf("page_size %d: only recordings of 4096 can be replayed", s.PageSize)
	}
	for i, raw := range s.Events {
		op, err := decodeOperation(raw)
		if err != nil {
			return nil, fmt.Errorf("scenario %s, event %d: %w", s.ID, i, err)
		}
		s.ops = append(s.ops, op)
	}
	return s, nil
}

func decodeOperation(raw []byte) (operation, error) {
	var head event
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("want an object with a string \"op\": %w", err)
	}
	make, ok := operations[head.Op]
	if !ok {
		return nil, fmt.Errorf("unknown op %q", head.Op)
	}
	op := make()
	if err := strict(raw, op); err != nil {
		return nil, fmt.Errorf("%s: %w", head.Op, err)
	}
	return op, nil
}

// strict decodes one JSON object into a struct: no key may be unknown, and none
// may be missing unless its tag says omitempty.
func strict(raw []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("something follows the object")
	}
	var have map[string]json.RawMessage
	if err := json.Unmarshal(raw, &have); err != nil {
		return err
	}
	return missing(reflect.TypeOf(to).Elem(), have)
}

func missing(t reflect.Type, have map[string]json.RawMessage) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if err := missing(f.Type, have); err != nil {
				return err
			}
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, ok := have[name]; name != "" && !ok && options != "omitempty" {
			return fmt.Errorf("%q is missing", name)
		}
	}
	return nil
}

// guestOp is one operation of a guest_program; pages is a number or a list.
type guestOp struct {
	Kind   string          `json:"k"`
	Base   word            `json:"base,omitempty"`
	Addr   word            `json:"addr,omitempty"`
	Stride int64           `json:"stride,omitempty"`
	Count  uint64          `json:"count,omitempty"`
	Val    json.RawMessage `json:"val,omitempty"`
	Seed   word            `json:"seed,omitempty"`
	Pages  json.RawMessage `json:"pages,omitempty"`
	Target int             `json:"target,omitempty"`
	Times  uint64          `json:"times,omitempty"`
}

// guestKeys says which keys each operation has besides k.
var guestKeys = map[script.Kind]string{
	script.WriteSeq: "base stride count val", script.ReadSeq: "base stride count",
	script.ReadWriteSeq: "base stride count", script.Write64: "addr val", script.Write32: "addr val",
	script.WriteList: "base pages", script.WriteLCG: "base pages count seed",
	script.ReadLCG: "base pages count seed", script.WritePair: "addr", script.Loop: "target times",
	script.Spin: "", script.Read64Report: "addr", script.Read32Report: "addr", script.MMIOExit: "val",
}

// UnmarshalJSON decodes the operation and checks that it has its keys and no others.
func (g *guestOp) UnmarshalJSON(b []byte) error {
	type plain guestOp // without this method
	if err := strict(b, (*plain)(g)); err != nil {
		return err
	}
	kind, ok := script.ParseKind(g.Kind)
	if !ok {
		return fmt.Errorf("unknown guest operation %q", g.Kind)
	}
	var have map[string]json.RawMessage
	if err := json.Unmarshal(b, &have); err != nil {
		return err
	}
	keys := strings.Fields(guestKeys[kind])
	for _, k := range keys {
		if _, ok := have[k]; !ok {
			return fmt.Errorf("%s: %q is missing", g.Kind, k)
		}
	}
	if len(have) != len(keys)+1 {
		return fmt.Errorf("%s: want the keys k %s and no others", g.Kind, guestKeys[kind])
	}
	_, err := g.op()
	return err
}

// op is the operation as the guest's script has it.
func (g *guestOp) op() (script.Op, error) {
	kind, _ := script.ParseKind(g.Kind)
	op := script.Op{Kind: kind}
	op.Base = mmu.IPA(g.Base | g.Addr) // it has at most one of each pair
	op.Count = g.Count | g.Times
	op.Stride = g.Stride
	op.Target = g.Target
	op.Val = uint64(g.Seed)
	if g.Val != nil {
		v, err := number(g.Val)
		if err != nil {
			return op, err
		}
		op.Val = v
	}
	if kind == script.WriteList {
		return op, json.Unmarshal(g.Pages, &op.List)
	}
	if g.Pages != nil {
		if err := json.Unmarshal(g.Pages, &op.Pages); err != nil {
			return op, err
		}
		if op.Pages == 0 {
			return op, fmt.Errorf("%s: pages must not be 0", g.Kind)
		}
	}
	return op, nil
}

// number decodes a value that is a signed number or a hex string.
func number(raw json.RawMessage) (uint64, error) {
	if raw[0] == '"' {
		var w word
		err := json.Unmarshal(raw, &w)
		return uint64(w), err
	}
	var n int64
	if err := json.Unmarshal(raw, &n); err == nil {
		return uint64(n), nil
	}
	var u uint64
	err := json.Unmarshal(raw, &u)
	return u, err
}
