// A line that goes from one vCPU to the other and back: the first starts the second
// by PSCI CPU_ON, then each waits for the number that the other writes and writes
// the next, by loads and stores and then by CAS. It prints ticks of the counter, and
// how often the line moved. Hints: see latency.s.
start:	hint	#0x71
	adr	x20, stack
	mov	sp, x20
	mov	x27, #0x09000000		// PL011
	bl	map
	movz	x19, #0x4800, lsl #16
	str	xzr, [x19]
	str	xzr, [x19, #64]
	movz	x0, #0xc400, lsl #16		// CPU_ON
	movk	x0, #3
	mov	x1, #1
	adr	x2, second
	mov	x3, #0
	hvc	#0
	cbnz	x0, off
	hint	#0x70
	mov	x2, #2				// what it writes first
	mov	x22, #4000
	bl	rally				// until everything is warm
	bl	clock
	mov	x21, x1
	mov	x22, #4000
	bl	rally
	bl	clock
	sub	x21, x1, x21
	adr	x24, name
	bl	report
	hint	#0x70
	mov	x2, #2
	mov	x22, #4000
	add	x19, x19, #64			// the other line
	bl	swaps
	bl	clock
	mov	x21, x1
	mov	x22, #4000
	bl	swaps
	bl	clock
	sub	x21, x1, x21
	adr	x24, swapped
	bl	report
off:	movz	x0, #0x8400, lsl #16		// SYSTEM_OFF
	movk	x0, #8
	hvc	#0
	b	.

// rally plays x22 moves, every second one its own: it writes x2 when it finds one
// less.
rally:	mov	x4, x22
1:	sub	x3, x2, #1
2:	ldr	x0, [x19]
	cmp	x0, x3
	b.ne	2b
	str	x2, [x19]
	add	x2, x2, #2
	subs	x4, x4, #2
	b.ne	1b
	ret

// swaps is rally with CAS, which looks and writes at once.
swaps:	mov	x4, x22
1:	sub	x3, x2, #1
2:	mov	x0, x3
	cas	x0, x2, [x19]
	cmp	x0, x3
	b.ne	2b
	add	x2, x2, #2
	subs	x4, x4, #2
	b.ne	1b
	ret

second:	bl	mmu
	movz	x19, #0x4800, lsl #16
	mov	x2, #1
	mov	x22, #8000
	bl	rally
	add	x19, x19, #64
	mov	x2, #1
	mov	x22, #8000
	bl	swaps
	b	.

// report prints the name at x24, x21 ticks and how often, x22.
report:	hint	#0x71
	mov	x25, x30
	mov	x0, x24
	bl	print
	bl	blank
	mov	x0, x21
	bl	decimal
	bl	blank
	mov	x0, x22
	bl	decimal
	mov	w1, #10
	mov	x30, x25
	b	write


// map makes tables with blocks of 2 MiB.
map:	movz	x0, #0x4010, lsl #16		// level 1
	movz	x1, #0x4010, lsl #16
	add	x1, x1, #0x1000			// level 2 of RAM
	mov	x2, #0x405			// 0 to 1 GiB: block, AF, attribute 1: device
	movk	x2, #0x0060, lsl #48		// UXN, PXN
	str	x2, [x0]
	orr	x2, x1, #3
	str	x2, [x0, #8]
	mov	x3, #0
	movz	x5, #0x4000, lsl #16
	mov	x6, #0x701			// block, AF, inner shareable, attribute 0
	orr	x5, x5, x6
1:	str	x5, [x1, x3, lsl #3]
	add	x5, x5, #0x200000
	add	x3, x3, #1
	cmp	x3, #512
	b.ne	1b
	dsb	ish
// mmu turns the MMU on.
mmu:	movz	x0, #0x4010, lsl #16
	mov	x2, #0x00ff			// attribute 0: normal write-back; 1: device
	msr	mair_el1, x2
	movz	x2, #25				// T0SZ: 39 bits
	movk	x2, #0x0080, lsl #16		// EPD1
	movk	x2, #0x2, lsl #32		// 40 bits out
	msr	tcr_el1, x2
	msr	ttbr0_el1, x0
	isb
	tlbi	vmalle1
	dsb	ish
	isb
	mrs	x2, sctlr_el1
	movz	x3, #0x1005			// M, C, I
	orr	x2, x2, x3
	msr	sctlr_el1, x2
	isb
	ret

// clock reads the counter into x1 when everything before is done.
clock:	dsb	ish
	isb
	mrs	x1, cntvct_el0
	isb
	ret

// print writes the text at x0 to the PL011 at x27.
print:	ldrb	w1, [x0], #1
	cbz	w1, 2f
1:	ldr	w2, [x27, #0x18]
	tbnz	w2, #5, 1b			// FIFO full
	strb	w1, [x27]
	b	print
2:	ret

blank:	mov	w1, #32
write:	ldr	w2, [x27, #0x18]
	tbnz	w2, #5, write
	strb	w1, [x27]
	ret

// decimal writes x0 as a decimal number.
decimal:
	sub	sp, sp, #32
	add	x3, sp, #31
	strb	wzr, [x3]
	mov	x4, #10
3:	udiv	x5, x0, x4
	msub	x6, x5, x4, x0
	add	x6, x6, #48
	strb	w6, [x3, #-1]!
	mov	x0, x5
	cbnz	x0, 3b
	mov	x0, x3
	mov	x7, x30
	bl	print
	mov	x30, x7
	add	sp, sp, #32
	ret

	.balign	8
name:	.quad	0x000065636e756f62, 0	// bounce
swapped:	.quad	0x0000000070617773, 0	// swap
	.space	1024
	.balign	16
stack:	.quad	0, 0
