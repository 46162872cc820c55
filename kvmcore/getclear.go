package kvmcore

// GetDirtyLog is KVM_GET_DIRTY_LOG without time. out holds a word for every 64
// pages of the slot; nil stands for a bad pointer.
func (vm *VM) GetDirtyLog(t *Thread, slot uint32, out []uint64) Errno { return 0 }

// ClearDirtyLog is KVM_CLEAR_DIRTY_LOG without time. bits is relative to first;
// nil stands for a bad pointer.
func (vm *VM) ClearDirtyLog(t *Thread, slot uint32, first uint64, num uint32, bits []uint64) Errno {
	return 0
}
