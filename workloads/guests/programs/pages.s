// A page writer. It maps its memory with tables of its own (4 KiB granule, 39
// bits, 2 MiB blocks), writes to 512 pages four times over, reads everything back
// and prints what it came to.
	.balign	4
start:	adr	x20, stack
	mov	sp, x20
	mov	x27, #0x09000000		// PL011

	// Level 1: one entry for devices, one table for the GiB of RAM.
	movz	x0, #0x4010, lsl #16		// level 1 table
	movz	x1, #0x4010, lsl #16
	add	x1, x1, #0x1000			// level 2 table
	mov	x2, #0x405			// 0–1 GiB: block, AF, attribute 1: device
	movk	x2, #0x0060, lsl #48		// UXN, PXN
	str	x2, [x0]
	orr	x2, x1, #3
	str	x2, [x0, #8]
	mov	x3, #0				// level 2: 512 blocks of 2 MiB
	movz	x4, #0x4000, lsl #16
	mov	x5, #0x701			// block, AF, inner shareable, attribute 0
	orr	x4, x4, x5
fill:	str	x4, [x1, x3, lsl #3]
	add	x4, x4, #0x200000
	add	x3, x3, #1
	cmp	x3, #512
	b.ne	fill
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
	adr	x0, hello
	bl	print

	// Write.
	movz	x21, #0x4040, lsl #16
	mov	x22, #4				// passes
pass:	mov	x23, #0
page:	add	x24, x21, x23, lsl #12
	add	x25, x23, x22, lsl #32
	str	x25, [x24]
	str	x25, [x24, #2040]
	add	x23, x23, #1
	cmp	x23, #512
	b.ne	page
	subs	x22, x22, #1
	b.ne	pass

	// Read back.
	mov	x23, #0
	mov	x26, #0				// pages that are wrong
back:	add	x24, x21, x23, lsl #12
	movz	x25, #1, lsl #32
	add	x25, x25, x23
	ldr	x0, [x24]
	ldr	x1, [x24, #2040]
	cmp	x0, x25
	ccmp	x1, x25, #0, eq
	cinc	x26, x26, ne
	add	x23, x23, #1
	cmp	x23, #512
	b.ne	back
	adr	x0, done
	bl	print
	mov	x0, x26
	bl	decimal
	adr	x0, wrong
	bl	print
	movz	x0, #0x8400, lsl #16		// SYSTEM_OFF
	movk	x0, #8
	hvc	#0
	b	.

// print writes the text at x0 to the PL011 at x27.
print:	ldrb	w1, [x0], #1
	cbz	w1, 2f
1:	ldr	w2, [x27, #0x18]
	tbnz	w2, #5, 1b			// FIFO full
	strb	w1, [x27]
	b	print
2:	ret

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

hello:	.word	0x65676170, 0x74203a73, 0x4d206568, 0x6920554d, 0x6e6f2073, 0x0000000a	// pages: the MMU is on\n
done:	.word	0x65676170, 0x35203a73, 0x70203231, 0x73656761, 0x69727720, 0x6e657474, 0x74203420, 0x73656d69, 0x0000202c	// pages: 512 pages written 4 times, 
wrong:	.word	0x6f727720, 0x000a676e	//  wrong\n
	.space	1024
	.balign	16
stack:	.quad	0, 0
