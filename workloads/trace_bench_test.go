package workloads

import (
	"bytes"
	"testing"

	"ringmap/kvmcore"
)

// BenchmarkPWT measures the real timeline: checking and packing it, and giving
// its accesses.
func BenchmarkPWT(b *testing.B) {
	tr := open(b, linuxTrace)
	spec := TraceSpec{Size: 256 << 20, VCPUs: 4, CPI: 1250}
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			streams(b, tr, spec)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/474083, "ns/record")
	})
	b.Run("fill", func(b *testing.B) { benchmarkReplay(b, tr, spec) })
}

// BenchmarkLackey measures parsing text, per access given.
func BenchmarkLackey(b *testing.B) {
	benchmarkReplay(b, open(b, sqliteTrace), TraceSpec{Size: 16 << 20, VCPUs: 1})
}

// BenchmarkChampSim measures records, per access given.
func BenchmarkChampSim(b *testing.B) {
	tr := open(b, file(b, bytes.Repeat(sampleChampSim(), 100_000)))
	benchmarkReplay(b, tr, TraceSpec{Size: 16 << 20, VCPUs: 1})
}

// benchmarkReplay reads the first vCPU's stream over and over.
func benchmarkReplay(b *testing.B, tr *Trace, spec TraceSpec) {
	s := streams(b, tr, spec)[0].(*replay)
	var dst [64]kvmcore.GuestAccess
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		n := s.Fill(dst[:min(left, len(dst))])
		left -= n
		if dst[n-1].Op == kvmcore.GuestEnd {
			b.StopTimer()
			s.Close()
			s.ended = false
			b.StartTimer()
		}
	}
}
