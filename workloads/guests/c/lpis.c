// LPIs from end to end: the first vCPU sets up GIC and ITS with a collection for
// every vCPU and devices whose events go to all of them in turn. In each round it
// lets every event happen (the INT command), waits until all have been taken, and
// moves each to the next vCPU. Every vCPU counts what it takes; each LPI must have
// come once a round.
#include "gic.h"

enum { DEVICES = 4, EVENTS = 32, LPIS = DEVICES * EVENTS, ROUNDS = 8, FIRST_DEVICE = 8 };

static u64 itt[DEVICES][512] __attribute__((aligned(4096)));
static u64 count[LPIS], by_vcpu[MOST_VCPUS], strange, taken, ready, vcpus;

static u64 acquire(u64 *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }

void interrupt(u32 intid) {
	u64 me = MRS("tpidr_el1");
	if (intid - FIRST_LPI < LPIS) {
		count[intid - FIRST_LPI]++;
		by_vcpu[me]++;
	} else {
		__atomic_fetch_add(&strange, 1, __ATOMIC_RELAXED);
	}
	__atomic_fetch_add(&taken, 1, __ATOMIC_RELEASE);
}

static void set_up(u64 n) {
	for (u64 i = 0; i < LPIS; i++) lpi_config[i] = 0xa1; // enabled, priority 0xa0
	its_on();
	for (u64 i = 0; i < n; i++) its_mapc(i, i);
	for (u64 d = 0; d < DEVICES; d++) {
		its_mapd(FIRST_DEVICE + d, 5, itt[d]);
		for (u64 e = 0; e < EVENTS; e++) {
			u64 lpi = d * EVENTS + e;
			its_mapti(FIRST_DEVICE + d, e, FIRST_LPI + lpi, lpi % n);
		}
	}
	its_ring();
}

void guest(u64 vcpu) {
	MSR("tpidr_el1", vcpu);
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
	interrupts_on();
	if (vcpu != 0)
		for (;;) wait_for_interrupt();
	while (acquire(&ready) < n);
	set_up(n);
	for (u64 r = 0; r < ROUNDS; r++) {
		for (u64 i = 0; i < LPIS; i++) its_int(FIRST_DEVICE + i / EVENTS, i % EVENTS);
		its_ring();
		while (acquire(&taken) < (r + 1) * LPIS);
		for (u64 i = 0; i < LPIS; i++) its_movi(FIRST_DEVICE + i / EVENTS, i % EVENTS, (i + r + 1) % n);
		its_ring();
	}
	u64 wrong = strange, fewest = ~0UL, most = 0;
	for (u64 i = 0; i < LPIS; i++) wrong += count[i] != ROUNDS;
	for (u64 i = 0; i < n; i++) {
		if (by_vcpu[i] < fewest) fewest = by_vcpu[i];
		if (by_vcpu[i] > most) most = by_vcpu[i];
	}
	print("lpis: ");
	print_number(n);
	print(" vCPUs, ");
	print_number(taken);
	print(" LPIs, ");
	print_number(fewest);
	print(" to ");
	print_number(most);
	print(" a vCPU, ");
	print_number(wrong);
	print(" wrong\n");
	system_off();
}
