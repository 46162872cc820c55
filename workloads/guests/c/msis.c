// MSIs of the machine's own devices (its.devices of the scenario), which docs/guests.md
// numbers: DeviceIDs from 16 up, EventIDs from 0 up. The first vCPU maps the events of
// 16 devices, to all vCPUs in turn; every vCPU counts what it takes, and sleeps.
#include "gic.h"

enum { DEVICES = 16, EVENTS = 16, LPIS = DEVICES * EVENTS, FIRST_DEVICE = 16, ENOUGH = 100 };

static u64 itt[DEVICES][512] __attribute__((aligned(4096)));
static u64 count[LPIS], strange, taken, ready, vcpus;

static u64 acquire(u64 *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }

void interrupt(u32 intid) {
	if (intid - FIRST_LPI < LPIS) count[intid - FIRST_LPI]++;
	else __atomic_fetch_add(&strange, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&taken, 1, __ATOMIC_RELEASE);
}

static void set_up(u64 n) {
	for (u64 i = 0; i < LPIS; i++) lpi_config[i] = 0xa1; // enabled, priority 0xa0
	its_on();
	for (u64 i = 0; i < n; i++) its_mapc(i, i);
	for (u64 d = 0; d < DEVICES; d++) {
		its_mapd(FIRST_DEVICE + d, 4, itt[d]);
		for (u64 e = 0; e < EVENTS; e++) its_mapti(FIRST_DEVICE + d, e, FIRST_LPI + d * EVENTS + e, (d + e) % n);
	}
	its_ring();
}

void guest(u64 vcpu) {
	if (vcpu == 0) {
		gic_on();
		u64 n = start_others();
		__atomic_store_n(&vcpus, n < MOST_VCPUS ? n : MOST_VCPUS, __ATOMIC_RELEASE);
	}
	u64 n;
	while ((n = acquire(&vcpus)) == 0);
	if (vcpu >= n) return;
	gic_cpu(vcpu);
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	if (vcpu != 0) {
		interrupts_on();
		for (;;) wait_for_interrupt();
	}
	while (acquire(&ready) < n);
	set_up(n);
	while (acquire(&taken) < ENOUGH) {
		wait_for_interrupt(); // masked: it wakes, and is taken here
		interrupts_on();
		__asm__ volatile("isb\n\tmsr daifset, #2" ::: "memory");
	}
	u64 sum = 0, different = 0;
	for (u64 i = 0; i < LPIS; i++) sum += count[i], different += count[i] != 0;
	print("msis: ");
	print_number(n);
	print(" vCPUs, ");
	print_number(sum);
	print(" MSIs of ");
	print_number(different);
	print(" events, ");
	print_number(strange);
	print(" strange\n");
	system_off();
}
