// The operations of a micro-benchmark of the hypervisor, each in a loop, timed by
// the virtual counter. It prints a line for each: its name, how often, and ticks of
// 16 ns in all. The second vCPU takes SGIs and LPIs and spins between them.
#include "gic.h"

enum { DEVICE = 2, EVENT = 20, LPI = FIRST_LPI + 7, SGI = 1, NO_DEVICE = 0x0a000000 };

static u64 itt[512] __attribute__((aligned(4096)));
static volatile u64 received, ready;

void interrupt(u32 intid) { received = 1; }

static void hvc(void) { psci(0x4b000000, 0, 0, 0); } // a function that nobody knows
static void mmio_read_user(void) { get32(NO_DEVICE); }
static void mmio_read_vgic(void) { get32(GICD + 8); } // IIDR
static void eoi(void) { MSR("icc_eoir1_el1", SPURIOUS); }

static void ipi(void) {
	received = 0;
	MSR("icc_sgi1r_el1", SGI << 24 | 1 << 1);
	while (!received);
}

static void lpi(void) {
	received = 0;
	its_int(DEVICE, EVENT);
	its_ring();
	while (!received);
}

static void measure(const char *name, void (*operation)(void), u64 times) {
	for (u64 i = 0; i < 3; i++) operation(); // its pages and translations are there
	__asm__ volatile("isb");
	u64 begin = MRS("cntvct_el0");
	for (u64 i = 0; i < times; i++) operation();
	u64 ticks = MRS("cntvct_el0") - begin;
	print(name);
	print(" ");
	print_number(times);
	print(" ");
	print_number(ticks);
	print("\n");
}

void guest(u64 vcpu) {
	if (vcpu == 0) gic_on();
	gic_cpu(vcpu);
	if (vcpu == 1) {
		ready = 1;
		interrupts_on();
		for (;;) __asm__ volatile("yield");
	}
	if (vcpu != 0 || start_others() < 2) return;
	while (!ready);
	lpi_config[LPI - FIRST_LPI] = 0xa1;
	its_on();
	its_mapc(0, 1);
	its_mapd(DEVICE, 5, itt);
	its_mapti(DEVICE, EVENT, LPI, 0);
	its_ring();
	measure("hvc", hvc, 200);
	measure("mmio_read_user", mmio_read_user, 200);
	measure("mmio_read_vgic", mmio_read_vgic, 200);
	measure("eoi", eoi, 4000);
	measure("ipi", ipi, 200);
	measure("lpi", lpi, 200);
	system_off();
}
