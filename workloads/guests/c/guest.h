// What C guests share: the console, PSCI, and the other vCPUs.
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned char u8;

long psci(u64 function, u64 a, u64 b, u64 c);
extern char secondary[];

enum { CPU_ON = 0xc4000003, SYSTEM_OFF = 0x84000008 };

static volatile u32 *const uart = (u32 *)0x09000000;

static inline void print(const char *s) {
	while (*s) *uart = *s++;
}

static inline void print_number(u64 n) {
	char text[24], *at = text + sizeof text - 1;
	*at = 0;
	do *--at = '0' + n % 10; while (n /= 10);
	print(at);
}

// start_others starts every other vCPU at secondary and returns how many vCPUs
// there are: CPU_ON knows no vCPU beyond the last.
static inline u64 start_others(void) {
	u64 n = 1;
	while (psci(CPU_ON, (n & 15) | (n >> 4) << 8, (u64)secondary, n) == 0) n++;
	return n;
}

static inline void system_off(void) { psci(SYSTEM_OFF, 0, 0, 0); }
