// Every vCPU sends words to the next one through a queue of one writer and one
// reader, without a lock: a store-release of the position publishes a word, a
// load-acquire sees it.
#include "guest.h"

enum { WORDS = 2000, LENGTH = 64, MOST = 512 };

static struct {
	u64 word[LENGTH];
	u64 written __attribute__((aligned(64)));
	u64 read __attribute__((aligned(64)));
} queue[MOST];

static u64 vcpus, wrong, ended;

static u64 acquire(u64 *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static void release(u64 *p, u64 v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

void guest(u64 vcpu) {
	if (vcpu == 0) release(&vcpus, start_others());
	u64 n;
	while ((n = acquire(&vcpus)) == 0);
	u64 from = vcpu, to = (vcpu + 1) % n, sent = 0, got = 0, bad = 0;
	while (sent < WORDS || got < WORDS) {
		if (sent < WORDS && sent - acquire(&queue[to].read) < LENGTH) {
			queue[to].word[sent % LENGTH] = vcpu << 32 | sent;
			release(&queue[to].written, ++sent);
		}
		if (got < WORDS && acquire(&queue[from].written) > got) {
			if (queue[from].word[got % LENGTH] != (((vcpu + n - 1) % n) << 32 | got)) bad++;
			release(&queue[from].read, ++got);
		}
	}
	__atomic_fetch_add(&wrong, bad, __ATOMIC_RELAXED);
	__atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
	if (vcpu != 0) return;
	while (acquire(&ended) < n);
	print("queue: ");
	print_number(n);
	print(" vCPUs, ");
	print_number(n * WORDS);
	print(" words, ");
	print_number(wrong);
	print(" wrong\n");
	system_off();
}
