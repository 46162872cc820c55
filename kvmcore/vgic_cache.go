package kvmcore

import (
	"fmt"
	"slices"

	"ringmap/its"
	"ringmap/sim"
)

// translationCache remembers which LPI a device's event is. Its content ends with
// the ITS's epoch: vgic_its_invalidate_cache. Without a limit it is a map, as the
// xarray of kernels since 6.10 (its->translation_cache); with one the translation
// used longest ago makes room, as in the list of the kernels before
// (dist->lpi_translation_cache, 16 for each vCPU).
type translationCache struct {
	epoch uint64
	lpis  map[uint32]translation // by DeviceID << EventBits | EventID

	nodes          []useNode // by translation.node, only with a limit
	newest, oldest int32     // nodes; -1 = none
}

type translation struct {
	intid uint32
	node  int32 // -1 without a limit
}

// useNode is a translation's place in the order of use.
type useNode struct {
	key          uint32
	newer, older int32 // nodes; -1 = none
}

// find looks a translation up, which makes it the newest.
func (t *translationCache) find(epoch uint64, devid, eventid uint32) (intid uint32, ok bool) {
	if t.epoch != epoch || devid>>its.DeviceBits != 0 || eventid>>its.EventBits != 0 {
		return 0, false
	}
	e, ok := t.lpis[devid<<its.EventBits|eventid]
	if ok && e.node >= 0 && e.node != t.newest {
		t.unlink(e.node)
		t.link(e.node)
	}
	return e.intid, ok
}

// add remembers a translation; limit 0 = any number of them.
func (t *translationCache) add(limit int, epoch uint64, key, intid uint32) {
	if t.epoch != epoch || t.lpis == nil {
		*t = translationCache{epoch: epoch, lpis: map[uint32]translation{}, nodes: t.nodes[:0], newest: -1, oldest: -1}
	}
	e, known := t.lpis[key]
	switch {
	case known:
		e.intid = intid
	case limit == 0:
		e = translation{intid, -1}
	case len(t.lpis) < limit:
		e = translation{intid, int32(len(t.nodes))}
		t.nodes = append(t.nodes, useNode{key: key})
		t.link(e.node)
	default:
		e = translation{intid, t.oldest}
		delete(t.lpis, t.nodes[e.node].key)
		t.unlink(e.node)
		t.nodes[e.node].key = key
		t.link(e.node)
	}
	t.lpis[key] = e
}

// link makes a node the newest.
func (t *translationCache) link(n int32) {
	t.nodes[n].newer, t.nodes[n].older = -1, t.newest
	if t.newest >= 0 {
		t.nodes[t.newest].newer = n
	} else {
		t.oldest = n
	}
	t.newest = n
}

func (t *translationCache) unlink(n int32) {
	newer, older := t.nodes[n].newer, t.nodes[n].older
	if newer >= 0 {
		t.nodes[newer].older = older
	} else {
		t.newest = older
	}
	if older >= 0 {
		t.nodes[older].newer = newer
	} else {
		t.oldest = newer
	}
}

// len is how many translations are cached.
func (t *translationCache) len(epoch uint64) int {
	if t.epoch != epoch {
		return 0
	}
	return len(t.lpis)
}

// keys are the translations' keys: by their use, the oldest first, or in order.
func (t *translationCache) keys() []uint32 {
	keys := make([]uint32, 0, len(t.lpis))
	if len(t.nodes) != 0 && len(t.lpis) != 0 {
		for n := t.oldest; n >= 0; n = t.nodes[n].newer {
			keys = append(keys, t.nodes[n].key)
		}
		return keys
	}
	for key := range t.lpis { // order-free: sorted below
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// sync saves, restores or hashes the translations.
func (t *translationCache) sync(c *sim.Codec, limit int) {
	c.U64(&t.epoch)
	keys := t.keys()
	sim.Slice(c, &keys, func(c *sim.Codec, key *uint32) {
		intid := t.lpis[*key].intid
		c.U32(key)
		c.U32(&intid)
		if c.Loading() {
			if intid < its.FirstLPI {
				c.Fail(fmt.Errorf("cached translation to INTID %d", intid))
			}
			t.add(limit, t.epoch, *key, intid)
		}
	})
}
