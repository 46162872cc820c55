package vmm

import "ringmap/sim"

func syncHost(h any, c *sim.Codec) {
	if s, ok := h.(interface{ Sync(*sim.Codec) }); ok {
		s.Sync(c)
	}
}
