package workloads

// Accesses is how many stores a page-write timeline holds, for all vCPUs; 0 for
// formats that do not say before they are read.
func (t *Trace) Accesses() uint64 { return t.header.Records }
