// A hash table with open addressing: words go in, are found, and half of them go
// out again; what is then left must be what is there.
#include "guest.h"

enum { SLOTS = 1 << 15, WORDS = 20000, GONE = 1 };

static struct { u64 key, value; } table[SLOTS];

static u64 next(u64 *x) { return *x = *x * 6364136223846793005 + 1442695040888963407; }

static u64 place(u64 key) { return (key ^ key >> 29) * 0x9e3779b97f4a7c15 >> 49; }

// find returns the slot of a key, or the empty one where its search ends.
static u64 find(u64 key) {
	u64 i = place(key);
	while (table[i].key != 0 && table[i].key != key) i = (i + 1) % SLOTS;
	return i;
}

void guest(u64 vcpu) {
	u64 x = 1, wrong = 0, found = 0;
	for (u64 n = 0; n < WORDS; n++) {
		u64 key = next(&x) | 2, i = find(key);
		table[i].key = key;
		table[i].value = n;
	}
	x = 1;
	for (u64 n = 0; n < WORDS; n++) {
		u64 i = find(next(&x) | 2);
		if (table[i].key != 0 && table[i].value == n) found++;
		if (n % 2) table[i].key = GONE;
	}
	x = 1;
	for (u64 n = 0; n < WORDS; n++) {
		u64 key = next(&x) | 2, i = find(key);
		if ((table[i].key == key) != (n % 2 == 0)) wrong++;
	}
	print("hash: ");
	print_number(found);
	print(" of 20000 words found, ");
	print_number(wrong);
	print(" wrong after 10000 are gone\n");
	system_off();
}
