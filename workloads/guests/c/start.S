// How a C guest starts: its MMU on (stage 1 maps the first 4 GiB to themselves), a
// stack of 4 KiB, then guest(number of this vCPU).
	.section .text.start, "ax"
	.globl	start, secondary
start:	mov	x0, #0			// the first vCPU; PSCI CPU_ON starts others at secondary, X0 their number
secondary:
	adrp	x1, tables
	add	x1, x1, :lo12:tables
	msr	ttbr0_el1, x1
	mov	x1, #0xff		// attribute 0: Normal write-back; 1: Device-nGnRnE
	msr	mair_el1, x1
	ldr	x1, =0x200803519	// 39 bits, 4 KiB, write-back and inner shareable walks, no TTBR1; 40 bits out
	msr	tcr_el1, x1
	isb
	tlbi	vmalle1
	dsb	ish
	isb
	mrs	x1, sctlr_el1
	mov	x2, #0x1005		// M, C, I
	orr	x1, x1, x2
	msr	sctlr_el1, x1
	isb
	adrp	x1, stacks
	add	x1, x1, x0, lsl #12
	add	sp, x1, #4096
	bl	guest
	ldr	x0, =0x84000002		// CPU_OFF
	hvc	#0

	.globl	psci
psci:	hvc	#0
	ret
	.ltorg

	.data
	.balign	4096
tables:	.quad	0x0060000000000405	// 0 to 1 GiB: block, AF, attribute 1, never executed
	.quad	0x0000000040000701	// block, AF, inner shareable, attribute 0
	.quad	0x0000000080000701
	.quad	0x00000000c0000701
	.fill	508, 8, 0
