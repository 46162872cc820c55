// The guest of the recordings: it interprets a script, one operation of 64 bytes
// after the other, at EL1 with the MMU off. X0 is its vCPU's script. It stores
// nothing but what the script says, so counts of loops live in registers.
//
//	X28 next operation   X27 where exits are stored   X26, X25 of the LCG
//	X2 base   X3 stride   X4 count   X5 value   X6 pages, list or target   X7 which loop
//	X11 to X24, X29, X30 times that each loop has jumped
	.balign	4
start:	mov	x28, x0
	mov	x27, #0x09000000
	movz	x26, #0x7f2d			// 6364136223846793005
	movk	x26, #0x4c95, lsl #16
	movk	x26, #0xf42d, lsl #32
	movk	x26, #0x5851, lsl #48
	movz	x25, #0x814f			// 1442695040888963407
	movk	x25, #0xf767, lsl #16
	movk	x25, #0x7b7e, lsl #32
	movk	x25, #0x1405, lsl #48
	mov	x11, #0
	mov	x12, #0
	mov	x13, #0
	mov	x14, #0
	mov	x15, #0
	mov	x16, #0
	mov	x17, #0
	mov	x18, #0
	mov	x19, #0
	mov	x20, #0
	mov	x21, #0
	mov	x22, #0
	mov	x23, #0
	mov	x24, #0
	mov	x29, #0
	mov	x30, #0

next:	ldr	x1, [x28]
	cbz	x1, end
	ldp	x2, x3, [x28, #8]
	ldp	x4, x5, [x28, #24]
	ldp	x6, x7, [x28, #40]
	add	x28, x28, #64
	adr	x8, kinds
	add	x8, x8, x1, lsl #6
	br	x8

end:	mov	w9, #0xdead			// tells so, again and again
	str	w9, [x27]
	b	next

// What each kind does, 64 bytes apart; nothing has number 0.
	.balign	64
kinds:	b	next

	.balign	64				// write_seq
	cbz	x4, next
1:	str	x5, [x2]
	add	x2, x2, x3
	add	x5, x5, #1
	subs	x4, x4, #1
	b.ne	1b
	b	next

	.balign	64				// read_seq
	cbz	x4, next
2:	ldr	x9, [x2]
	add	x2, x2, x3
	subs	x4, x4, #1
	b.ne	2b
	b	next

	.balign	64				// readwrite_seq
	cbz	x4, next
3:	ldr	x9, [x2]
	add	x9, x9, #1
	str	x9, [x2]
	add	x2, x2, x3
	subs	x4, x4, #1
	b.ne	3b
	b	next

	.balign	64				// write64
	str	x5, [x2]
	b	next

	.balign	64				// write32
	str	w5, [x2]
	b	next

	.balign	64				// write_list
	cbz	x4, next
6:	ldr	x9, [x6], #8
	add	x10, x2, x9, lsl #12
	str	x9, [x10]
	subs	x4, x4, #1
	b.ne	6b
	b	next

	.balign	64				// write_lcg
	cbz	x4, next
7:	madd	x5, x5, x26, x25
	lsr	x9, x5, #33
	udiv	x10, x9, x6
	msub	x9, x10, x6, x9
	add	x9, x2, x9, lsl #12
	str	x5, [x9]
	subs	x4, x4, #1
	b.ne	7b
	b	next

	.balign	64				// read_lcg
	cbz	x4, next
8:	madd	x5, x5, x26, x25
	lsr	x9, x5, #33
	udiv	x10, x9, x6
	msub	x9, x10, x6, x9
	add	x9, x2, x9, lsl #12
	ldr	x10, [x9]
	subs	x4, x4, #1
	b.ne	8b
	b	next

	.balign	64				// write_pair
	mov	x9, #1
	mov	x10, #2
	stp	x9, x10, [x2]
	b	next

	.balign	64				// loop
	adr	x8, loops
	add	x8, x8, x7, lsl #5
	br	x8

	.balign	64				// spin
	b	.

	.balign	64				// read64_report
	ldr	x9, [x2]
	str	x9, [x27, #8]
	b	next

	.balign	64				// read32_report
	ldr	w9, [x2]
	str	w9, [x27, #4]
	b	next

	.balign	64				// mmio_exit
	str	w5, [x27]
	b	next

// Loops, 32 bytes apart: back until it has jumped X4 times, then on, anew.
	.balign	64
loops:
	cmp	x11, x4
	b.eq	on0
	add	x11, x11, #1
	mov	x28, x6
	b	next
on0:	mov	x11, #0
	b	next

	.balign	32
	cmp	x12, x4
	b.eq	on1
	add	x12, x12, #1
	mov	x28, x6
	b	next
on1:	mov	x12, #0
	b	next

	.balign	32
	cmp	x13, x4
	b.eq	on2
	add	x13, x13, #1
	mov	x28, x6
	b	next
on2:	mov	x13, #0
	b	next

	.balign	32
	cmp	x14, x4
	b.eq	on3
	add	x14, x14, #1
	mov	x28, x6
	b	next
on3:	mov	x14, #0
	b	next

	.balign	32
	cmp	x15, x4
	b.eq	on4
	add	x15, x15, #1
	mov	x28, x6
	b	next
on4:	mov	x15, #0
	b	next

	.balign	32
	cmp	x16, x4
	b.eq	on5
	add	x16, x16, #1
	mov	x28, x6
	b	next
on5:	mov	x16, #0
	b	next

	.balign	32
	cmp	x17, x4
	b.eq	on6
	add	x17, x17, #1
	mov	x28, x6
	b	next
on6:	mov	x17, #0
	b	next

	.balign	32
	cmp	x18, x4
	b.eq	on7
	add	x18, x18, #1
	mov	x28, x6
	b	next
on7:	mov	x18, #0
	b	next

	.balign	32
	cmp	x19, x4
	b.eq	on8
	add	x19, x19, #1
	mov	x28, x6
	b	next
on8:	mov	x19, #0
	b	next

	.balign	32
	cmp	x20, x4
	b.eq	on9
	add	x20, x20, #1
	mov	x28, x6
	b	next
on9:	mov	x20, #0
	b	next

	.balign	32
	cmp	x21, x4
	b.eq	on10
	add	x21, x21, #1
	mov	x28, x6
	b	next
on10:	mov	x21, #0
	b	next

	.balign	32
	cmp	x22, x4
	b.eq	on11
	add	x22, x22, #1
	mov	x28, x6
	b	next
on11:	mov	x22, #0
	b	next

	.balign	32
	cmp	x23, x4
	b.eq	on12
	add	x23, x23, #1
	mov	x28, x6
	b	next
on12:	mov	x23, #0
	b	next

	.balign	32
	cmp	x24, x4
	b.eq	on13
	add	x24, x24, #1
	mov	x28, x6
	b	next
on13:	mov	x24, #0
	b	next

	.balign	32
	cmp	x29, x4
	b.eq	on14
	add	x29, x29, #1
	mov	x28, x6
	b	next
on14:	mov	x29, #0
	b	next

	.balign	32
	cmp	x30, x4
	b.eq	on15
	add	x30, x30, #1
	mov	x28, x6
	b	next
on15:	mov	x30, #0
	b	next
