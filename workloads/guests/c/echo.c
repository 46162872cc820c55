// What is typed at the console, by its interrupt: the vCPU sleeps, is woken by SPI 1,
// writes back what has been received, and ends at a byte 4 (EOT).
#include "gic.h"

#define UART 0x09000000UL
enum { DR = 0, FR = 0x18, LCR_H = 0x2c, IFLS = 0x34, IMSC = 0x38 };
enum { RXFE = 1 << 4, FEN = 1 << 4, RX = 1 << 4, RT = 1 << 6, UART_INTID = 33, EOT = 4 };

static u64 bytes, interrupts, strange, ended;

void interrupt(u32 intid) {
	if (intid != UART_INTID) {
		strange++;
		return;
	}
	interrupts++;
	for (u32 n = 0; n < 8 && !(get32(UART + FR) & RXFE); n++) { // the line stays high until all is read
		u32 b = get32(UART + DR);
		if (b == EOT) {
			put32(UART + IMSC, 0);
			ended = 1;
			return;
		}
		bytes++;
		put32(UART + DR, b);
	}
}

void guest(u64 vcpu) {
	if (vcpu != 0)
		for (;;) wait_for_interrupt();
	gic_on();
	gic_cpu(0);
	put32(GICD + 0x84, 1 << 1);  // IGROUPR1: SPI 1 is in group 1
	put32(GICD + 0x104, 1 << 1); // ISENABLER1; IROUTER is 0, this vCPU
	put32(UART + LCR_H, FEN);
	put32(UART + IMSC, RX | RT);
	while (!*(volatile u64 *)&ended) {
		wait_for_interrupt(); // masked: it wakes, and is taken here
		interrupts_on();
		__asm__ volatile("isb\n\tmsr daifset, #2" ::: "memory");
	}
	print("echo: ");
	print_number(bytes);
	print(" bytes, ");
	print_number(interrupts);
	print(" interrupts, ");
	print_number(strange);
	print(" strange\n");
	system_off();
}
