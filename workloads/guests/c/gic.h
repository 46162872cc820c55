// A driver of GICv3 and its ITS for C guests: no more than they need. The machine's
// frames are where docs/guests.md says; vCPUs beyond 123 have none here.
#include "guest.h"

#define GICD 0x08000000UL
#define GITS 0x08080000UL
#define GICR(vcpu) (0x080a0000UL + (vcpu) * 0x20000)

enum { MOST_VCPUS = 64, PAGE64K = 0x10000, FIRST_LPI = 8192, SPURIOUS = 1023 };

// An MMIO access needs a syndrome: one register, no writeback.
static inline void put32(u64 at, u32 v) { __asm__ volatile("str %w0, [%1]" ::"r"(v), "r"(at) : "memory"); }
static inline void put64(u64 at, u64 v) { __asm__ volatile("str %0, [%1]" ::"r"(v), "r"(at) : "memory"); }
static inline u32 get32(u64 at) {
	u32 v;
	__asm__ volatile("ldr %w0, [%1]" : "=r"(v) : "r"(at) : "memory");
	return v;
}

#define MSR(name, v) __asm__ volatile("msr " name ", %0\n\tisb" ::"r"((u64)(v)) : "memory")
#define MRS(name)                                                        \
	({                                                               \
		u64 v;                                                   \
		__asm__ volatile("mrs %0, " name : "=r"(v) : : "memory"); \
		v;                                                       \
	})

// interrupt is the program's handler: of every vCPU, between acknowledgement and end.
void interrupt(u32 intid);

void take_interrupt(void) {
	u32 intid = MRS("icc_iar1_el1");
	if (intid >= 1020 && intid <= SPURIOUS) return;
	interrupt(intid);
	MSR("icc_eoir1_el1", intid);
}

__asm__("	.text\n"
	"	.balign	2048\n"
	"vectors:\n"
	"	.skip	0x280\n"
	"	sub	sp, sp, #176\n"
	"	stp	x0, x1, [sp]\n"
	"	stp	x2, x3, [sp, #16]\n"
	"	stp	x4, x5, [sp, #32]\n"
	"	stp	x6, x7, [sp, #48]\n"
	"	stp	x8, x9, [sp, #64]\n"
	"	stp	x10, x11, [sp, #80]\n"
	"	stp	x12, x13, [sp, #96]\n"
	"	stp	x14, x15, [sp, #112]\n"
	"	stp	x16, x17, [sp, #128]\n"
	"	stp	x18, x30, [sp, #144]\n"
	"	bl	take_interrupt\n"
	"	ldp	x0, x1, [sp]\n"
	"	ldp	x2, x3, [sp, #16]\n"
	"	ldp	x4, x5, [sp, #32]\n"
	"	ldp	x6, x7, [sp, #48]\n"
	"	ldp	x8, x9, [sp, #64]\n"
	"	ldp	x10, x11, [sp, #80]\n"
	"	ldp	x12, x13, [sp, #96]\n"
	"	ldp	x14, x15, [sp, #112]\n"
	"	ldp	x16, x17, [sp, #128]\n"
	"	ldp	x18, x30, [sp, #144]\n"
	"	add	sp, sp, #176\n"
	"	eret\n"
	"	.balign	2048\n");
extern char vectors[];

static inline void interrupts_on(void) { __asm__ volatile("msr daifclr, #2" ::: "memory"); }
static inline void wait_for_interrupt(void) { __asm__ volatile("wfi" ::: "memory"); }

static u8 lpi_config[PAGE64K] __attribute__((aligned(PAGE64K)));
static u8 lpi_pending[MOST_VCPUS][PAGE64K] __attribute__((aligned(PAGE64K)));

// gic_cpu readies the CPU interface and the redistributor of a vCPU, with its LPIs.
static void gic_cpu(u64 vcpu) {
	MSR("vbar_el1", (u64)vectors);
	MSR("icc_sre_el1", 7);
	MSR("icc_pmr_el1", 0xf0);
	MSR("icc_igrpen1_el1", 1);
	u64 rd = GICR(vcpu);
	put32(rd + 0x14, 0);			// WAKER: it is awake
	put64(rd + 0x70, (u64)lpi_config | 15); // PROPBASER: 16 bits of INTID
	put64(rd + 0x78, (u64)lpi_pending[vcpu] | 1UL << 62);
	put32(rd, 1);
}

static inline void gic_on(void) { put32(GICD, 2); }

// The ITS: one flat table of each kind, one queue.
static u64 its_queue[PAGE64K / 8] __attribute__((aligned(PAGE64K)));
static u64 its_devices[PAGE64K / 8] __attribute__((aligned(PAGE64K)));
static u64 its_collections[PAGE64K / 8] __attribute__((aligned(PAGE64K)));
static u64 its_head;

static inline void its_on(void) {
	put64(GITS + 0x80, 1UL << 63 | (u64)its_queue | 15);
	put64(GITS + 0x100, 1UL << 63 | (u64)its_devices | 2 << 8);
	put64(GITS + 0x108, 1UL << 63 | (u64)its_collections | 2 << 8);
	put32(GITS, 1);
}

// its_command queues a command; its_ring makes the ITS execute what is queued.
static void its_command(u64 a, u64 b, u64 c) {
	u64 *at = its_queue + its_head / 8;
	at[0] = a, at[1] = b, at[2] = c, at[3] = 0;
	its_head = (its_head + 32) % PAGE64K;
}

static inline void its_ring(void) {
	__asm__ volatile("dsb ish" ::: "memory");
	put64(GITS + 0x88, its_head);
}

static inline void its_mapc(u64 icid, u64 vcpu) { its_command(0x09, 0, 1UL << 63 | vcpu << 16 | icid); }
static inline void its_mapd(u64 dev, u64 bits, void *itt) { its_command(dev << 32 | 0x08, bits - 1, 1UL << 63 | (u64)itt); }
static inline void its_mapti(u64 dev, u64 ev, u64 lpi, u64 icid) { its_command(dev << 32 | 0x0a, lpi << 32 | ev, icid); }
static inline void its_movi(u64 dev, u64 ev, u64 icid) { its_command(dev << 32 | 0x01, ev, icid); }
static inline void its_int(u64 dev, u64 ev) { its_command(dev << 32 | 0x03, ev, 0); }
static inline void its_inv(u64 dev, u64 ev) { its_command(dev << 32 | 0x0c, ev, 0); }
