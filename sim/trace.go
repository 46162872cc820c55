package sim

// Record is one entry of a trace: what happened to which component, and when.
type Record struct {
	At   Cycle
	Arg  uint64
	Comp ComponentID
	Kind uint16
}

// Trace keeps the last records: a ring of fixed size that drops the oldest and
// counts what it dropped, so that a trace can always be on.
type Trace struct {
	Dropped uint64 // records overwritten so far
	ring    []Record
	limit   int
	next    int // where the next record goes, once the ring is full
}

// NewTrace returns a trace of at most limit records, at least 1.
func NewTrace(limit int) *Trace { return &Trace{limit: max(1, limit)} }

// Add appends a record.
func (t *Trace) Add(r Record) {
	if len(t.ring) < t.limit {
		t.ring = append(t.ring, r)
		return
	}
	t.ring[t.next] = r
	t.Dropped++
	if t.next++; t.next == t.limit {
		t.next = 0
	}
}

// Len returns how many records the trace holds.
func (t *Trace) Len() int { return len(t.ring) }

// Each calls f for every record, oldest first.
func (t *Trace) Each(f func(Record)) {
	for i := range t.ring {
		f(t.ring[(t.next+i)%len(t.ring)])
	}
}

// Sync saves, restores or hashes the records, oldest first. A trace restored
// into a smaller one keeps the newest.
func (t *Trace) Sync(c *Codec) {
	c.Tag("trace")
	recs := make([]Record, 0, len(t.ring))
	t.Each(func(r Record) { recs = append(recs, r) })
	Slice(c, &recs, func(c *Codec, r *Record) {
		Uint(c, &r.At)
		c.U64(&r.Arg)
		Uint(c, &r.Comp)
		c.U16(&r.Kind)
	})
	dropped := t.Dropped
	c.U64(&dropped)
	if !c.Loading() || c.Err() != nil {
		return
	}
	t.ring, t.next, t.Dropped = t.ring[:0], 0, dropped
	for _, r := range recs {
		t.Add(r)
	}
}
