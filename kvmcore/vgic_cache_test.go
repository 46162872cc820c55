package kvmcore

import (
	"fmt"
	"slices"
	"testing"

	"ringmap/its"
	"ringmap/sim"
)

// A translation cache of any size does what a list does that is searched from the
// newest on; a snapshot keeps the order of use.
func TestTranslationCacheSize(t *testing.T) {
	type pair struct{ key, intid uint32 }
	for _, limit := range []int{0, 1, 2, 5, 64} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			s := sim.NewStream(uint64(limit), "cache")
			var cache translationCache
			var list []pair // the newest first
			epoch, evicted := uint64(0), 0
			for step := range 5000 {
				dev, event := uint32(s.N(4)), uint32(s.N(10))
				key := dev<<its.EventBits | event
				i := slices.IndexFunc(list, func(p pair) bool { return p.key == key })
				got, ok := cache.find(epoch, dev, event)
				if ok != (i >= 0) || ok && got != list[i].intid {
					t.Fatalf("step %d: find %#x: %d, %v; the list says %d of %v", step, key, got, ok, i, list)
				}
				if ok {
					p := list[i]
					list = slices.Insert(slices.Delete(list, i, i+1), 0, p)
				} else {
					intid := 8192 + uint32(s.N(100))
					cache.add(limit, epoch, key, intid)
					if limit != 0 && len(list) == limit {
						list = list[:limit-1]
						evicted++
					}
					list = slices.Insert(list, 0, pair{key, intid})
				}
				if cache.len(epoch) != len(list) {
					t.Fatalf("step %d: %d translations, want %d", step, cache.len(epoch), len(list))
				}
				switch s.N(50) {
				case 0:
					epoch, list = epoch+1, nil
				case 1, 2:
					e := sim.NewEncoder()
					cache.sync(e, limit)
					cache = translationCache{}
					d := sim.NewDecoder(e.Finish())
					cache.sync(d, limit)
					if d.Finish(); d.Err() != nil {
						t.Fatal(d.Err())
					}
				}
			}
			if (evicted != 0) != (limit != 0 && limit < 40) {
				t.Errorf("%d translations made room", evicted)
			}
		})
	}
}
