package litmus

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkPicture looks for what makes a picture hard to read.
func checkPicture(t *testing.T, e *Explanation) {
	t.Helper()
	p := &picture{Explanation: e}
	p.place()
	p.route()
	p.name()
	for i, l := range p.labels {
		if l.x < 0 || l.x+l.w > p.width || l.y < 0 || l.y+l.h > p.height+8 {
			t.Errorf("%s: label %s is outside", e.Test.Name, p.curves[i].Name)
		}
		for _, b := range p.boxes {
			if l.overlaps(b, 0) {
				t.Errorf("%s: label %s lies on a box", e.Test.Name, p.curves[i].Name)
			}
		}
		for j, m := range p.labels[:i] {
			if l.overlaps(m, 0) {
				t.Errorf("%s: labels %s and %s overlap", e.Test.Name, p.curves[j].Name, p.curves[i].Name)
			}
		}
	}
	for i, b := range p.boxes {
		for _, c := range p.boxes[:i] {
			if b.overlaps(c, 0) {
				t.Errorf("%s: boxes overlap", e.Test.Name)
			}
		}
	}
	svg := e.SVG()
	if svg != e.SVG() {
		t.Errorf("%s: two pictures differ", e.Test.Name)
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Errorf("%s: %v", e.Test.Name, err)
			break
		}
	}
}

// TestPictures draws the well-known shapes.
func TestPictures(t *testing.T) {
	for _, words := range []string{
		"PodWW Rfe PodRR Fre", "DMB.SYdWW Rfe DpAddrdR Fre", "PodWR Fre PodWR Fre", "DMB.SYdWR Fre DMB.SYdWR Fre",
		"PodRW Rfe PodRW Rfe", "DpDatadW Rfe DpDatadW Rfe", "Rfe PodRW Rfe DpAddrdR Fre", "Rfe DpDatadW Rfe DpAddrdR Fre",
		"Rfe DpAddrdR Fre Rfe DpAddrdR Fre", "Rfe DpAddrdR Fre Rfe PodRR Fre", "PodWW Coe PodWW Coe", "DMB.SYdWW Coe DMB.SYdWW Coe",
		"PosWR Fre PosWR Fre", "Rfe PosRR Fre", "DMB.SYdWR Fre Rfi DpAddrdR Fre", "PodRW Rfe PodRW Rfe PodRW Rfe PodRW Rfe",
		"Rfe LxSx PosWR Fre", "Rfe Amo.SwpAL PodWR Fre PodWW",
	} {
		text, err := Make([]string{words})
		if err != nil {
			t.Fatal(err)
		}
		test, err := Parse(words, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Explore(test, Options{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := Explain(test, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		checkExplanation(t, test, e, r)
		checkPicture(t, e)
		if page := e.HTML(text); !strings.Contains(page, e.Test.Name) || strings.Contains(page, "http://") != strings.Contains(page, "http://www.w3.org/2000/svg") || strings.Contains(page, "src=") {
			t.Errorf("%s: the page is not self-contained", e.Test.Name)
		}
	}
}

// TestPicturesCorpus draws every published test.
func TestPicturesCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(corpus(t)), "*", "*.litmus"))
	if err != nil {
		t.Fatal(err)
	}
	drawn := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		test, err := Parse(file, text)
		if err != nil || test.fetching() {
			continue
		}
		e, err := Explain(test, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		checkPicture(t, e)
		drawn++
	}
	t.Logf("%d pictures", drawn)
}
