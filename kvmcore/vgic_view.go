package kvmcore

import (
	"cmp"
	"encoding/binary"
	"slices"

	"ringmap/its"
	"ringmap/mmu"
)

// GICView is what a VM's GICv3 and its ITSs hold at one moment, and what guest
// memory holds of it. Looking takes no simulated time and changes nothing.
type GICView struct {
	Enabled     bool         `json:"distributor_enabled"`
	ConfigTable mmu.IPA      `json:"config_table"`
	INTIDBits   uint32       `json:"intid_bits"`
	VCPUs       []RedistView `json:"vcpus"`
	ITSs        []ITSView    `json:"its"`
	LPIs        []LPIView    `json:"lpis"`
	Pages       []TablePage  `json:"pages"` // ascending
}

// RedistView is the redistributor of a vCPU.
type RedistView struct {
	ID           uint32  `json:"id"`
	LPIsEnabled  bool    `json:"lpis_enabled"`
	PendingTable mmu.IPA `json:"pending_table"`
	LPIs         int     `json:"lpis"` // that target it
	Pending      int     `json:"pending"`
	Queued       int     `json:"queued"` // interrupts on its list, of any kind
}

// ITSView is an ITS with what it maps.
type ITSView struct {
	Base             mmu.IPA          `json:"base"`
	Enabled          bool             `json:"enabled"`
	Queue            mmu.IPA          `json:"queue"`
	QueueBytes       uint64           `json:"queue_bytes"`
	CREADR           uint64           `json:"creadr"`
	CWRITER          uint64           `json:"cwriter"`
	DeviceTable      TableView        `json:"device_table"`
	CollectionTable  TableView        `json:"collection_table"`
	Cached           int              `json:"cached_translations"`
	Devices          []DeviceView     `json:"devices"`
	Collections      []CollectionView `json:"collections"`
	SaveWouldFailFor string           `json:"save_would_fail,omitempty"` // the errno of SAVE_TABLES, as far as table addresses decide it
}

// TableView is a table register.
type TableView struct {
	Valid    bool    `json:"valid"`
	Indirect bool    `json:"indirect"`
	Base     mmu.IPA `json:"base"`
	Bytes    uint64  `json:"bytes"`
}

// DeviceView is a device that is mapped.
type DeviceView struct {
	ID        uint32      `json:"id"`
	EventBits uint8       `json:"event_bits"`
	ITT       mmu.IPA     `json:"itt"`
	Entry     mmu.IPA     `json:"entry,omitempty"` // of the device table
	Saved     bool        `json:"saved"`           // memory holds what a save would write
	Events    []EventView `json:"events"`
}

// EventView is an event of a device.
type EventView struct {
	ID     uint32  `json:"id"`
	LPI    uint32  `json:"lpi"`
	ICID   uint32  `json:"icid"`
	Orphan bool    `json:"orphan,omitempty"` // its collection is gone
	Entry  mmu.IPA `json:"entry"`            // of the ITT
	Saved  bool    `json:"saved"`
}

// CollectionView is a collection.
type CollectionView struct {
	ICID   uint32  `json:"icid"`
	RDbase int64   `json:"rdbase"` // processor number, -1 = not mapped
	Events int     `json:"events"`
	Entry  mmu.IPA `json:"entry,omitempty"`
	Saved  bool    `json:"saved"`
}

// LPIView is an LPI that some event maps to, or that is queued.
type LPIView struct {
	INTID    uint32 `json:"intid"`
	VCPU     int32  `json:"vcpu"` // index, -1 = none
	Priority uint8  `json:"priority"`
	Enabled  bool   `json:"enabled"`
	Pending  bool   `json:"pending"`
	Active   bool   `json:"active,omitempty"`        // only while a list register has it
	ListReg  bool   `json:"list_register,omitempty"` // in a list register of a vCPU that is in the guest
	Bit      bool   `json:"table_bit"`               // of its target's pending table
}

// TablePage is a page of guest memory with entries of a table. A page may hold
// pieces of several.
type TablePage struct {
	GFN     mmu.GFN `json:"gfn"`
	Holds   Holding `json:"holds"`
	Of      uint32  `json:"of"`      // DeviceID of an ITT, index of a pending table's vCPU, else of the ITS
	Entries int     `json:"entries"` // in use: commands waiting, mapped devices, events, collections, LPIs
	Saved   int     `json:"saved"`   // of these: memory holds what the controller does; a save would not change them
}

// Holding is a kind of table.
type Holding string

const (
	HoldsQueue       Holding = "command queue"
	HoldsDevices     Holding = "device table"
	HoldsLevel1      Holding = "device table, level 1"
	HoldsCollections Holding = "collection table"
	HoldsITT         Holding = "ITT"
	HoldsConfig      Holding = "configuration table"
	HoldsPending     Holding = "pending table"
)

// ViewGIC looks at the VM's interrupt controller; nil without one.
func (vm *VM) ViewGIC() *GICView {
	g := vm.vgic
	if g == nil || !g.model {
		return nil
	}
	w := gicViewer{g: g, v: &GICView{
		Enabled: g.distEnabled, ConfigTable: mmu.IPA(g.propbaser.Addr()), INTIDBits: min(g.propbaser.IDBits(), its.INTIDBits),
	}}
	for _, v := range vm.VCPUs {
		rv := RedistView{ID: v.ID}
		if v.Index < len(g.redists) {
			r := g.redists[v.Index]
			rv.LPIsEnabled, rv.PendingTable, rv.Queued = r.enableLPIs, mmu.IPA(r.pendbaser.Addr()), len(r.list)
		}
		w.v.VCPUs = append(w.v.VCPUs, rv)
	}
	w.lpis()
	for i, k := range g.itss {
		w.its(uint32(i), k)
	}
	w.v.Pages = mergePages(w.v.Pages)
	return w.v
}

// gicViewer is one look.
type gicViewer struct {
	g *VGIC
	v *GICView
}

// read reads guest memory as nobody: 0 where there is none.
func (w *gicViewer) read(ipa mmu.IPA, p []byte) bool {
	page := w.g.vm.Host.Page
	s := w.g.vm.Slots.ByGFN(page.GFN(ipa))
	if s == nil {
		return false
	}
	return w.g.vm.Host.Memory.Read(s.HVA+mmu.HVA(ipa-page.IPA(s.Base)), p) == OK
}

// viewMachine is a gicMachine whose reads leave no trace.
type viewMachine struct {
	*gicMachine
	w *gicViewer
}

// ReadGuest reads guest memory.
func (m viewMachine) ReadGuest(ipa mmu.IPA, p []byte) its.Error {
	if !m.w.read(ipa, p) {
		return its.ErrAccess
	}
	return its.None
}

// page notes an entry at ipa.
func (w *gicViewer) page(ipa mmu.IPA, holds Holding, of uint32, saved bool) {
	p := TablePage{GFN: w.g.vm.Host.Page.GFN(ipa), Holds: holds, Of: of, Entries: 1}
	if saved {
		p.Saved = 1
	}
	if n := len(w.v.Pages); n > 0 && w.v.Pages[n-1].same(p) {
		w.v.Pages[n-1].add(p)
		return
	}
	w.v.Pages = append(w.v.Pages, p)
}

func (p TablePage) same(o TablePage) bool {
	return p.GFN == o.GFN && p.Holds == o.Holds && p.Of == o.Of
}

func (p *TablePage) add(o TablePage) {
	p.Entries += o.Entries
	p.Saved += o.Saved
}

// mergePages sorts by page and adds up what is of one table.
func mergePages(pages []TablePage) []TablePage {
	slices.SortStableFunc(pages, func(a, b TablePage) int {
		return cmp.Or(cmp.Compare(a.GFN, b.GFN), cmp.Compare(a.Holds, b.Holds), cmp.Compare(a.Of, b.Of))
	})
	out := pages[:0]
	for _, p := range pages {
		if n := len(out); n > 0 && out[n-1].same(p) {
			out[n-1].add(p)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// lpis looks at all LPIs, and at the list registers that hold some.
func (w *gicViewer) lpis() {
	g := w.g
	loaded := map[uint32]its.LR{}
	for _, v := range g.vm.VCPUs {
		if v.A64 != nil && v.A64.entered {
			for _, lr := range g.redist(v).cpu.LR[:v.A64.used] {
				if lr.VINTID() >= its.FirstLPI {
					loaded[lr.VINTID()] = lr
				}
			}
		}
	}
	for p := g.lpis.First(); p != nil; p = g.lpis.After(p) {
		lr, there := loaded[p.INTID]
		l := LPIView{
			INTID: p.INTID, VCPU: p.Target, Priority: p.Priority, Enabled: p.Enabled,
			Pending: p.Pending || lr.Pending(), Active: p.Active || lr.Active(), ListReg: there && lr.State() != 0,
		}
		var b [1]byte
		at := g.propbaser.ConfigAddr(p.INTID)
		ok := w.read(at, b[:])
		c := its.Config(b[0])
		w.page(at, HoldsConfig, 0, ok && uint8(c.Priority()) == p.Priority && c.Enabled() == p.Enabled)
		if p.Target != its.NoPE {
			at, bit := g.machine.PendBase(p.Target).PendingAddr(p.INTID)
			b[0] = 0
			ok = w.read(at, b[:])
			l.Bit = b[0]&bit != 0
			w.page(at, HoldsPending, uint32(p.Target), ok && l.Bit == l.Pending)
			t := &w.v.VCPUs[p.Target]
			t.LPIs++
			if l.Pending {
				t.Pending++
			}
		}
		w.v.LPIs = append(w.v.LPIs, l)
	}
}

// its looks at an ITS: its registers, then what a save would write.
func (w *gicViewer) its(index uint32, k *VITS) {
	s := k.state
	table := func(b its.BASER) TableView { return TableView{b.Valid(), b.Indirect(), b.Base(), b.Bytes()} }
	v := ITSView{
		Base: k.base, Enabled: s.Enabled, CREADR: s.CREADR, CWRITER: s.CWRITER,
		DeviceTable: table(s.DeviceTable), CollectionTable: table(s.CollectionTable), Cached: k.cache.len(s.Epoch),
	}
	if s.CBASER.Valid() {
		v.Queue, v.QueueBytes = mmu.IPA(s.CBASER.Addr()), s.QueueBytes()
		for at := s.CREADR; at != s.CWRITER; at = (at + its.CommandBytes) % v.QueueBytes {
			w.page(v.Queue+mmu.IPA(at), HoldsQueue, index, true)
		}
		for at := uint64(0); at < v.QueueBytes; at += w.g.vm.Host.Page.Size() {
			w.v.Pages = append(w.v.Pages, TablePage{GFN: w.g.vm.Host.Page.GFN(v.Queue + mmu.IPA(at)), Holds: HoldsQueue, Of: index})
		}
	}
	events := map[uint32]int{}
	for _, d := range s.Devices {
		dv := DeviceView{ID: d.ID, EventBits: d.Bits, ITT: d.ITT}
		for i := range d.Events {
			e := &d.Events[i]
			orphan := s.Orphan(e)
			if !orphan {
				events[e.ICID]++
			}
			dv.Events = append(dv.Events, EventView{ID: e.ID, LPI: e.INTID, ICID: e.ICID, Orphan: orphan, Entry: d.EventAddr(e.ID)})
		}
		v.Devices = append(v.Devices, dv)
	}
	for i := range s.Collections {
		c := &s.Collections[i]
		cv := CollectionView{ICID: c.ICID, RDbase: -1, Events: events[c.ICID]}
		if c.Mapped() {
			cv.RDbase = int64(c.RDbase)
		}
		v.Collections = append(v.Collections, cv)
	}
	w.entries(index, k, &v)
	w.v.ITSs = append(w.v.ITSs, v)
}

// entries compares what a save would write with what memory holds.
func (w *gicViewer) entries(index uint32, k *VITS, v *ITSView) {
	s, device, event, coll := k.state, 0, 0, 0
	level1 := mmu.IPA(0) // of the last device
	err := s.Entries(viewMachine{k.machine, w}, func(e its.Entry) {
		var b [its.EntryBytes]byte
		saved := w.read(e.Addr, b[:]) && binary.LittleEndian.Uint64(b[:]) == e.Word
		switch e.Kind {
		case its.EntryEvent:
			v.Devices[device].Events[event].Saved = saved
			event++
			w.page(e.Addr, HoldsITT, e.ID, saved)
		case its.EntryDevice:
			d := &v.Devices[device]
			d.Entry, d.Saved = e.Addr, saved
			device, event = device+1, 0
			w.page(e.Addr, HoldsDevices, index, saved)
			if at := s.Level1(e.ID); at != level1 {
				level1 = at
				w.page(at, HoldsLevel1, index, true)
			}
		case its.EntryCollection:
			v.Collections[coll].Entry, v.Collections[coll].Saved = e.Addr, saved
			coll++
			w.page(e.Addr, HoldsCollections, index, saved)
		case its.EntryEnd:
			w.page(e.Addr, HoldsCollections, index, saved)
		}
	})
	if err != its.None {
		v.SaveWouldFailFor = errnoOf(err).Error()
	}
}
