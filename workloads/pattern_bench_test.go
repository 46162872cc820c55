package workloads

import (
	"testing"

	"ringmap/kvmcore"
)

// BenchmarkFill measures one access of each pattern over 2^18 pages.
func BenchmarkFill(b *testing.B) {
	for _, info := range Patterns() {
		b.Run("pattern="+info.Name, func(b *testing.B) {
			benchmarkFill(b, PatternSpec{Pattern: info.Name, Size: 1 << 30})
		})
	}
	b.Run("pattern=zipf/memory=1TiB", func(b *testing.B) {
		benchmarkFill(b, PatternSpec{Pattern: "zipf", Size: 1 << 40})
	})
	b.Run("pattern=zipf/writes=20/word=vary", func(b *testing.B) {
		benchmarkFill(b, PatternSpec{Pattern: "zipf", Size: 1 << 30, Params: map[string]string{"writes": "20", "word": "vary"}})
	})
}

func benchmarkFill(b *testing.B, s PatternSpec) {
	st := NewPattern(s, 0, 1, 1)
	var dst [64]kvmcore.GuestAccess
	b.ReportAllocs()
	for left := b.N; left > 0; {
		left -= st.Fill(dst[:min(left, len(dst))])
	}
}

// BenchmarkZipfTable measures building the table of a terabyte of pages.
func BenchmarkZipfTable(b *testing.B) {
	for b.Loop() {
		newZipfTable(1<<28, 990_000)
	}
}
