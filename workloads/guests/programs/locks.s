// Spin locks and LSE on all vCPUs. The first starts the others by PSCI CPU_ON, up
// to the first that does not exist; each adds 200 times to a counter under a lock
// of exclusives (waiting with WFE), and to another with LDADD, and writes a page
// of its own. Those that are done turn themselves off.
start:	adr	x20, stack
	mov	sp, x20
	mov	x27, #0x09000000		// PL011
	adr	x19, data
	mov	x21, #1				// how many there are
	mov	x22, #1
more:	and	x1, x22, #15			// MPIDR: 16 to a cluster
	lsr	x2, x22, #4
	orr	x1, x1, x2, lsl #8
	movz	x0, #0xc400, lsl #16		// CPU_ON
	movk	x0, #3
	adr	x2, second
	mov	x3, x22
	hvc	#0
	cbnz	x0, all
	add	x21, x21, #1
	add	x22, x22, #1
	b	more
all:	mov	x0, #0
	bl	work
wait:	add	x2, x19, #192			// how many have finished
	ldar	x1, [x2]
	cmp	x1, x21
	b.eq	report
	yield
	b	wait
report:	adr	x0, name
	bl	print
	mov	x0, x21
	bl	decimal
	adr	x0, cpus
	bl	print
	ldr	x0, [x19, #64]
	bl	decimal
	adr	x0, locked
	bl	print
	ldr	x0, [x19, #128]
	bl	decimal
	adr	x0, added
	bl	print
	movz	x0, #0x8400, lsl #16		// SYSTEM_OFF
	movk	x0, #8
	hvc	#0
	b	.

second:	adr	x19, data
	bl	work
	movz	x0, #0x8400, lsl #16		// CPU_OFF
	movk	x0, #2
	hvc	#0
	b	.

// work does the part of vCPU x0.
work:	movz	x1, #0x4040, lsl #16
	add	x15, x1, x0, lsl #12		// its page
	movz	x14, #200
	mov	x13, #1
	add	x12, x19, #128
1:	sevl
2:	wfe
3:	ldaxr	w2, [x19]
	cbnz	w2, 2b
	stxr	w3, w13, [x19]
	cbnz	w3, 3b
	ldr	x4, [x19, #64]
	add	x4, x4, #1
	str	x4, [x19, #64]
	stlr	wzr, [x19]
	ldadd	x13, x5, [x12]
	str	x5, [x15, x14, lsl #3]
	subs	x14, x14, #1
	b.ne	1b
	add	x12, x19, #192
	ldaddal	x13, x5, [x12]
	ret

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

name:	.word	0x6b636f6c, 0x00203a73	// locks: 
cpus:	.word	0x50437620, 0x202c7355, 0x00000000	//  vCPUs, 
locked:	.word	0x646e7520, 0x74207265, 0x6c206568, 0x2c6b636f, 0x00000020	//  under the lock, 
added:	.word	0x20796220, 0x4441444c, 0x00000a44	//  by LDADD\n
	.space	1024
	.balign	64
stack:	.quad	0, 0
	.balign	64
data:	.space	256
