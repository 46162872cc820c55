// How long loads, stores, atomics and branches take, by the guest's own clock. It
// maps RAM with 2 MiB blocks, and from 2 GiB on single pages: 512 with RAM of their
// own, then 8192 that are all the same. Then, for each line of the table at the end:
// a chain of pointers through the lines or pages of a place, in an order without
// pattern, followed again and again.
//
// It prints lines of a name, ticks of the counter, and how often. HINT #0x70 says
// from where on time matters, HINT #0x71 that it does not: chains are made, and text
// is printed, by the fast core model.
start:	hint	#0x71
	adr	x20, stack
	mov	sp, x20
	mov	x27, #0x09000000		// PL011
	bl	map
	adr	x19, chains
chain:	ldr	x0, [x19]
	cbz	x0, others
	ldp	x0, x1, [x19, #8]		// place, log2 of how many
	ldp	x2, x3, [x19, #24]		// bytes from one to the next, and aside
	bl	build
	hint	#0x70
	ldr	x0, [x19, #8]
	ldp	x1, x22, [x19, #40]
	bl	follow
	bl	clock
	mov	x21, x1
	mov	x1, x22
	bl	follow
	bl	clock
	sub	x21, x1, x21
	mov	x0, x19
	bl	report
	add	x19, x19, #56
	b	chain

	// Translations: the same loop over one page and over 8192, each of whose
	// addresses follows from the word loaded, which is 0.
others:	movz	x0, #0x8020, lsl #16
	mov	x1, #512
1:	str	xzr, [x0], #8
	subs	x1, x1, #1
	b.ne	1b
	mov	x23, #0x3f			// of one line
	adr	x0, same
	bl	pages
	mov	x23, #0x1ffffff			// of 8192 pages
	adr	x0, walked
	bl	pages

	// Stores: lines of data and of a table that the first-level cache has, clean.
	movz	x0, #0x4900, lsl #16
	adr	x19, stores
	bl	clean
	movz	x0, #0x4020, lsl #16
	add	x0, x0, #0x1000			// those of the 8192 pages, which nobody needs any more
	adr	x19, tables
	bl	clean

	// Atomics that nobody contends.
	adr	x19, lse
	movz	x10, #0x4900, lsl #16
	mov	x11, #1
	mov	x22, #8192
	hint	#0x70
	mov	x2, #64
1:	ldadd	x11, x0, [x10]
	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	mov	x21, x1
	mov	x2, x22
1:	ldadd	x11, x0, [x10]
	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	sub	x21, x1, x21
	mov	x0, x19
	bl	report
	adr	x19, llsc
	hint	#0x70
	mov	x2, #64
1:	ldxr	x0, [x10]
	add	x0, x0, #1
	stxr	w3, x0, [x10]
	cbnz	w3, 1b
	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	mov	x21, x1
	mov	x2, x22
1:	ldxr	x0, [x10]
	add	x0, x0, #1
	stxr	w3, x0, [x10]
	cbnz	w3, 1b
	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	sub	x21, x1, x21
	mov	x0, x19
	bl	report

	// Branches: every second taken, and taken by chance.
	mov	x23, #1
	adr	x19, even
	bl	branch
	mov	x23, #0
	adr	x19, chance
	bl	branch
	movz	x0, #0x8400, lsl #16		// SYSTEM_OFF
	movk	x0, #8
	hvc	#0
	b	.

// map makes the tables and turns the MMU on.
map:	movz	x0, #0x4010, lsl #16		// level 1
	movz	x1, #0x4010, lsl #16
	add	x1, x1, #0x1000			// level 2 of RAM
	mov	x2, #0x405			// 0 to 1 GiB: block, AF, attribute 1: device
	movk	x2, #0x0060, lsl #48		// UXN, PXN
	str	x2, [x0]
	orr	x2, x1, #3
	str	x2, [x0, #8]
	add	x4, x1, #0x1000			// level 2 of the pages
	orr	x2, x4, #3
	str	x2, [x0, #16]
	mov	x3, #0
	movz	x5, #0x4000, lsl #16
	mov	x6, #0x701			// block, AF, inner shareable, attribute 0
	orr	x5, x5, x6
1:	str	x5, [x1, x3, lsl #3]
	add	x5, x5, #0x200000
	add	x3, x3, #1
	cmp	x3, #512
	b.ne	1b
	movz	x7, #0x4020, lsl #16		// level 3, 17 tables: one of the 512 pages, 16 of one page
	orr	x5, x7, #3
	mov	x3, #0
2:	str	x5, [x4, x3, lsl #3]
	add	x5, x5, #0x1000
	add	x3, x3, #1
	cmp	x3, #17
	b.ne	2b
	movz	x5, #0x4800, lsl #16
	mov	x6, #0x703			// page
	orr	x5, x5, x6
	mov	x3, #0
3:	str	x5, [x7], #8
	add	x5, x5, #0x1000
	add	x3, x3, #1
	cmp	x3, #512
	b.ne	3b
	mov	x3, #0
4:	str	x5, [x7], #8
	add	x3, x3, #1
	cmp	x3, #8192
	b.ne	4b
	dsb	ish
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

// build makes a chain from x0 on through 2^x1 places, x2 bytes apart and, of x3
// times their number, whole lines below 4 KiB aside. Place i points to place
// 1664525 i + 1013904223, which comes to all of them before it repeats.
build:	mov	x4, #1
	lsl	x4, x4, x1
	sub	x5, x4, #1
	movz	x6, #0x660d
	movk	x6, #0x19, lsl #16
	movz	x7, #0xf35f
	movk	x7, #0x3c6e, lsl #16
	mov	x8, #0
1:	madd	x9, x8, x6, x7
	and	x9, x9, x5
	mul	x10, x8, x3
	and	x10, x10, #0xfc0
	madd	x10, x8, x2, x10
	mul	x11, x9, x3
	and	x11, x11, #0xfc0
	madd	x11, x9, x2, x11
	add	x11, x0, x11
	str	x11, [x0, x10]
	add	x8, x8, #1
	cmp	x8, x4
	b.ne	1b
	ret

// follow follows a chain from x0 on x1 times, a multiple of 16.
follow:	cbz	x1, 2f
1:	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	ldr	x0, [x0]
	subs	x1, x1, #16
	b.ne	1b
2:	ret

// pages loads from places behind the 512 pages, each a page and a line further,
// within those that x23 masks, and reports under the name at x0.
pages:	mov	x26, x30
	mov	x19, x0
	movz	x24, #0x8020, lsl #16
	mov	x22, #16384
	mov	x4, #0
	mov	x5, #0x7040			// 7 pages and a line
	hint	#0x70
	mov	x2, x22
1:	add	x0, x24, x4
	ldr	x3, [x0]
	add	x4, x4, x3
	add	x4, x4, x5
	and	x4, x4, x23
	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	mov	x21, x1
	mov	x2, x22
1:	add	x0, x24, x4
	ldr	x3, [x0]
	add	x4, x4, x3
	add	x4, x4, x5
	and	x4, x4, x23
	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	sub	x21, x1, x21
	mov	x0, x19
	mov	x30, x26
	b	report

// clean loads 512 lines from x0 on, then stores to each, and reports the stores
// under the name at x19.
clean:	mov	x26, x30
	mov	x22, #512
	hint	#0x70
	mov	x24, x0
	mov	x2, x22
1:	ldr	x3, [x0], #64
	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	mov	x21, x1
	mov	x0, x24
	mov	x2, x22
1:	str	xzr, [x0], #64
	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	sub	x21, x1, x21
	mov	x0, x19
	mov	x30, x26
	b	report

// branch takes 16384 branches by the bits of a register that x23 makes 0101…, or
// else of a xorshift generator, and reports them under the name at x19.
branch:	mov	x26, x30
	mov	x22, #16384
	movz	x0, #0x5555
	movk	x0, #0x1234, lsl #16
	hint	#0x70
	mov	x2, #4096
1:	eor	x0, x0, x0, lsl #13
	eor	x0, x0, x0, lsr #7
	eor	x0, x0, x0, lsl #17
	and	x3, x2, #1
	cmp	x23, #0
	csel	x3, x3, x0, ne
	tbz	x3, #0, 2f
	nop
2:	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	mov	x21, x1
	mov	x2, x22
1:	eor	x0, x0, x0, lsl #13
	eor	x0, x0, x0, lsr #7
	eor	x0, x0, x0, lsl #17
	and	x3, x2, #1
	cmp	x23, #0
	csel	x3, x3, x0, ne
	tbz	x3, #0, 2f
	nop
2:	subs	x2, x2, #1
	b.ne	1b
	bl	clock
	sub	x21, x1, x21
	mov	x0, x19
	mov	x30, x26
	b	report

// clock reads the counter into x1 when everything before is done.
clock:	dsb	ish
	isb
	mrs	x1, cntvct_el0
	isb
	ret

// report prints the name at x0, x21 ticks and how often, x22.
report:	hint	#0x71
	mov	x25, x30
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
// name, place, log2 of how many, bytes from one to the next and aside, steps before
// and while the clock runs
chains:
	.quad	0x000000000000316c, 0x48000000, 8, 64, 0, 256, 32768	// l1: 16 KiB
	.quad	0x000000000000326c, 0x48000000, 12, 64, 0, 4096, 32768	// l2: 256 KiB
	.quad	0x0000000000636c73, 0x48000000, 16, 64, 0, 65536, 16384	// slc: 4 MiB
	.quad	0x000000006d617264, 0x4a000000, 20, 64, 0, 0, 8192	// dram: 64 MiB, never touched before
	.quad	0x0000000032626c74, 0x80000000, 9, 4096, 16, 512, 32768	// tlb2: 512 pages
	.quad	0
same:	.quad	0x0000000031626c74, 0	// tlb1
walked:	.quad	0x000000006b6c6177, 0	// walk
stores:	.quad	0x00000065726f7473, 0	// store
tables:	.quad	0x0065726f74737470, 0	// ptstore
lse:	.quad	0x000000000065736c, 0	// lse
llsc:	.quad	0x0000000063736c6c, 0	// llsc
even:	.quad	0x000000006e657665, 0	// even
chance:	.quad	0x000065636e616863, 0	// chance
	.space	1024
	.balign	16
stack:	.quad	0, 0
