// A sort: 20,000 words from a linear congruence, sorted by Shell's method in gaps
// of Ciura's sequence, then checked for order and for their sum.
start:	adr	x20, stack
	mov	sp, x20
	mov	x27, #0x09000000		// PL011
	movz	x21, #0x4040, lsl #16		// the words
	movz	x22, #20000
	movz	x10, #0x7f2d
	movk	x10, #0x4c95, lsl #16
	movk	x10, #0xf42d, lsl #32
	movk	x10, #0x5851, lsl #48
	mov	x4, #1
	mov	x23, #0				// sum
	mov	x3, #0
fill:	madd	x4, x4, x10, x10
	lsr	x5, x4, #32
	str	x5, [x21, x3, lsl #3]
	add	x23, x23, x5
	add	x3, x3, #1
	cmp	x3, x22
	b.ne	fill

	adr	x24, gaps
gap:	ldr	w25, [x24], #4
	cbz	w25, check
	mov	x3, x25
outer:	ldr	x5, [x21, x3, lsl #3]
	mov	x6, x3
inner:	subs	x7, x6, x25
	b.lo	place
	ldr	x8, [x21, x7, lsl #3]
	cmp	x8, x5
	b.ls	place
	str	x8, [x21, x6, lsl #3]
	mov	x6, x7
	b	inner
place:	str	x5, [x21, x6, lsl #3]
	add	x3, x3, #1
	cmp	x3, x22
	b.lo	outer
	b	gap

check:	mov	x3, #0
	mov	x5, #0				// the word before
	mov	x26, #0				// out of order
look:	ldr	x6, [x21, x3, lsl #3]
	sub	x23, x23, x6
	cmp	x6, x5
	cinc	x26, x26, lo
	mov	x5, x6
	add	x3, x3, #1
	cmp	x3, x22
	b.ne	look
	adr	x0, done
	bl	print
	mov	x0, x26
	bl	decimal
	adr	x0, order
	bl	print
	mov	x0, x23
	bl	decimal
	adr	x0, end
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

gaps:	.word	13799, 6133, 2726, 1211, 538, 239, 106, 47, 20, 9, 4, 1, 0
done:	.word	0x74726f73, 0x3032203a, 0x20303030, 0x64726f77, 0x00202c73	// sort: 20000 words, 
order:	.word	0x74756f20, 0x20666f20, 0x6564726f, 0x73202c72, 0x6f206d75, 0x62206666, 0x00002079	//  out of order, sum off by 
end:	.word	0x0000000a	// \n
	.space	1024
	.balign	16
stack:	.quad	0, 0
