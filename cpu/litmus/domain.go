package litmus

import (
	"cmp"
	"slices"
)

// domain is what may be in memory: every write that some path of some thread
// makes, as far as known.
type domain struct {
	test  *Test
	vars  []varDomain
	fresh bool // a write was added since the last look
	full  bool // more values than MaxValues
	torn  bool // part of an address is read
}

// varDomain is what may be written to one variable.
type varDomain struct {
	writes  []write // each once, initial ones first
	reads   []readDomain
	version int // counts changes
}

// write is a write as paths make it.
type write struct {
	off  int
	size int
	v    Value
	by   writers
}

// writers are the threads that make a write, as bits; then come the initial
// state, and whether some path of a thread makes it more than once.
type writers uint16

const (
	initially writers = 1 << (MaxThreads + iota)
	twice
)

// once reports whether an execution has at most one such write.
func (w writers) once() bool { return w&(w-1) == 0 }

// readDomain is what a read of some bytes of a variable may return, and who
// wrote it; anybody, if it has more than one writer.
type readDomain struct {
	off, size int
	values    []Value
	by        []writers
}

const anybody = ^writers(0)

// MaxValues is how many values a location may be thought to take.
const MaxValues = 4096

func newDomain(t *Test) *domain {
	d := &domain{test: t, vars: make([]varDomain, len(t.Vars))}
	for i := range t.Vars {
		v := &t.Vars[i]
		size := v.Type.size()
		for k, init := range v.Init {
			d.add(i, write{k * size, size, truncate(init, size), initially})
		}
	}
	return d
}

// truncate keeps the bytes that fit; addresses fit only whole.
func truncate(v Value, size int) Value {
	if v.Var == 0 && size < 8 {
		v.N &= 1<<(8*size) - 1
	}
	return v
}

// add remembers a write.
func (d *domain) add(v int, w write) {
	vd := &d.vars[v]
	for i := range vd.writes {
		have := &vd.writes[i]
		if have.off != w.off || have.size != w.size || have.v != w.v {
			continue
		}
		if have.by|w.by == have.by {
			return
		}
		have.by |= w.by
		d.changed(vd)
		return
	}
	if len(vd.writes) >= MaxValues {
		d.full = true
		return
	}
	vd.writes = append(vd.writes, w)
	d.changed(vd)
}

func (d *domain) changed(vd *varDomain) {
	vd.reads = vd.reads[:0]
	vd.version++
	d.fresh = true
}

// values returns what a read of a variable's bytes may return, in the order in
// which the writes were found. The result is valid until a write is added.
func (d *domain) values(v, off, size int) *readDomain {
	vd := &d.vars[v]
	for i := range vd.reads {
		if r := &vd.reads[i]; r.off == off && r.size == size {
			return r
		}
	}
	r := readDomain{off: off, size: size}
	var over []write // writes to the bytes read
	whole := true
	for _, w := range vd.writes {
		if w.off < off+size && off < w.off+w.size {
			over = append(over, w)
			whole = whole && w.off == off && w.size == size
		}
	}
	if whole {
		for _, w := range over {
			r.values, r.by = append(r.values, w.v), append(r.by, w.by)
		}
	} else {
		// Each write gives all of its bytes that are still open, or none: two
		// single-copy atomic writes cannot each win a part of what they share.
		slices.SortStableFunc(over, func(a, b write) int { return cmp.Compare(a.size, b.size) })
		d.assemble(over, off, size, 1<<size-1, Value{}, &r.values)
		for range r.values {
			r.by = append(r.by, anybody)
		}
	}
	vd.reads = append(vd.reads, r)
	return &vd.reads[len(vd.reads)-1]
}

// assemble finds every way in which writes fill the open bytes of a read.
func (d *domain) assemble(over []write, off, size int, open uint64, got Value, out *[]Value) {
	if open == 0 {
		if !slices.Contains(*out, got) {
			if len(*out) >= MaxValues {
				d.full = true
				return
			}
			*out = append(*out, got)
		}
		return
	}
	if len(over) == 0 || d.full {
		return
	}
	w := over[0]
	var bytes uint64
	for i := range size {
		if at := off + i - w.off; at >= 0 && at < w.size {
			bytes |= 1 << i
		}
	}
	if bytes &= open; bytes != 0 {
		v, ok := got, true
		if w.v.Var != 0 { // an address cannot be taken apart
			ok = w.off == off && w.size == size && open == 1<<size-1
			d.torn = d.torn || !ok
			v = w.v
		} else if got.Var == 0 {
			for i := range size {
				if bytes>>i&1 != 0 {
					v.N |= w.v.N >> (8 * (off + i - w.off)) & 0xff << (8 * i)
				}
			}
		}
		if ok {
			d.assemble(over[1:], off, size, open&^bytes, v, out)
		}
	}
	d.assemble(over[1:], off, size, open, got, out)
}
