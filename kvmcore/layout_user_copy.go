package kvmcore

import "ringmap/mmu"

// user-copy: the ring is a buffer of userspace's, so that no kernel memory is
// locked up for it. The kernel reaches it by copy_to_user and copy_from_user,
// each with its checks. The buffer is taken as present.
var layoutUserCopy = Layout{
	Choice: Choice{
		Name:   "user-copy",
		Desc:   "as in-entry, in a buffer of userspace's that the kernel writes by user copies",
		Source: "M. S. Tsirkin, review of the ring RFC, Dec 2019: why not get a userspace pointer",
	},
	User: true,
	push: (*Thread).pushUserCopy, load: (*Thread).loadUserCopy,
}

// userCopies is how many user accesses with checks an entry takes: in a push
// slot and offset together, then the flags; in a reset flags, slot and offset
// together, then the flags back.
const userCopies = 2

func (t *Thread) pushUserCopy(r *Ring, s *Slot, gfn mmu.GFN) {
	t.Block.Delay(userCopies * t.Host.Profile.UserCopy)
	t.pushInEntry(r, s, gfn)
}

func (t *Thread) loadUserCopy(r *Ring) uint8 {
	t.Block.Delay((userCopies + 1) * t.Host.Profile.UserCopy)
	return t.loadInEntry(r)
}
