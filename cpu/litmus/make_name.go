package litmus

import "strings"

// families are the shapes of cycles that have a name: for each thread the
// directions of its first and last event (one letter for a single event) and
// the communication that leaves it. The names are those of the field
// (Sarkar, Sewell, Alglave et al., PLDI 2011; herdtools7).
var families = []struct{ name, shape string }{
	{"2+2W", "WW co WW co"},
	{"3.2W", "WW co WW co WW co"},
	{"CoRR", "W rf RR fr"},
	{"CoRW2", "W rf RW co"},
	{"CoWR", "W co WR fr"},
	{"CoWW", "W co WW co"},
	{"IRIW", "W rf RR fr W rf RR fr"},
	{"IRRWIW", "W rf RR fr W rf RW co"},
	{"IRWIW", "W rf RW co W rf RW co"},
	{"ISA2", "WW rf RW rf RR fr"},
	{"LB", "RW rf RW rf"},
	{"3.LB", "RW rf RW rf RW rf"},
	{"MP", "WW rf RR fr"},
	{"R", "WW co WR fr"},
	{"RWC", "W rf RR fr WR fr"},
	{"S", "WW rf RW co"},
	{"SB", "WR fr WR fr"},
	{"3.SB", "WR fr WR fr WR fr"},
	{"W+RWC", "WW rf RR fr WR fr"},
	{"WRC", "W rf RW rf RR fr"},
	{"WRR+2W", "W rf RR fr WW co"},
	{"WRW+2W", "W rf RW co WW co"},
	{"WRW+WR", "W rf RW co WR fr"},
	{"WWC", "W rf RW rf RW co"},
	{"Z6.0", "WW rf RW co WR fr"},
	{"Z6.1", "WW co WW rf RW co"},
	{"Z6.2", "WW rf RW rf RW co"},
	{"Z6.3", "WW co WW rf RR fr"},
	{"Z6.4", "WW co WR fr WR fr"},
	{"Z6.5", "WW co WW co WR fr"},
}

// name finds the family of the cycle, turns the cycle to the family's first
// thread, and titles it by family and by what orders each thread's events:
// MP+dmb.sy+addr.
func (c *makeCycle) name() {
	family := ""
search:
	for k := range c.threads {
		shape := c.shape(k)
		for _, f := range families {
			if f.shape == shape {
				family = f.name
				c.rotate(c.threads[k][0])
				c.splitThreads()
				break search
			}
		}
	}
	if family == "" { // say what the threads do instead
		var threads []string
		for _, nodes := range c.threads {
			t := ""
			for _, i := range nodes {
				t += string(c.nodes[i].dir)
			}
			threads = append(threads, t)
		}
		family = strings.Join(threads, ".")
	}
	var labels []string
	for _, nodes := range c.threads {
		if len(nodes) > 1 {
			labels = append(labels, c.between(nodes))
		}
	}
	c.title = family + labelSuffix(labels)
}

// labelSuffix joins the labels: nothing if all are po, dmb.sys if all are dmb.sy.
func labelSuffix(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	for _, l := range labels {
		if l != labels[0] {
			return "+" + strings.Join(labels, "+")
		}
	}
	switch {
	case labels[0] == "po":
		return ""
	case len(labels) == 1:
		return "+" + labels[0]
	}
	return "+" + labels[0] + "s"
}

// shape describes the cycle as families does, from thread k on.
func (c *makeCycle) shape(k int) string {
	var parts []string
	for t := range c.threads {
		nodes := c.threads[(k+t)%len(c.threads)]
		first, last := nodes[0], nodes[len(nodes)-1]
		ends := string(c.nodes[first].dir)
		if len(nodes) > 1 {
			ends += string(c.nodes[last].dir)
		}
		parts = append(parts, ends, c.edges[last].op)
	}
	return strings.Join(parts, " ")
}

// between labels a thread by its edges; where program order follows something
// other than a communication, the event in between needs its direction.
func (c *makeCycle) between(nodes []int) string {
	s := ""
	for k, i := range nodes[:len(nodes)-1] {
		e := c.edges[i]
		if k > 0 {
			last := c.edges[nodes[k-1]]
			if e.kind == edgePo && (last.kind == edgePo || last.kind == edgeDep) {
				s += string(c.nodes[i].dir)
			}
			s += "-"
		}
		s += e.label()
	}
	return s
}
