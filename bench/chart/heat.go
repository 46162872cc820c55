package chart

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Warmth are the colours of a heat map in light pages, from little to much.
var Warmth = []string{"#dbe9f6", "#bad6eb", "#89bedc", "#539ecd", "#2b7bba", "#0b559f", "#08306b"}

func warm(i int) string { return fmt.Sprintf("var(--h%d,%s)", i+1, Warmth[i]) }

// most is the highest value.
func (h *Heat) most() (most float64) {
	for _, row := range h.Cells {
		for _, v := range row {
			most = math.Max(most, v)
		}
	}
	return most
}

// level is the number of a value's colour, which stands for twice that of the one below;
// -1 for none.
func level(v, most float64) int {
	if v <= 0 || most <= 0 {
		return -1
	}
	return max(len(Warmth)-1-int(math.Log2(most/v)), 0)
}

// Keys says what the colours mean.
func (h *Heat) Keys() (keys []Key) {
	most := h.most()
	if most == 0 {
		return nil
	}
	for i := range Warmth {
		keys = append(keys, Key{"to " + Number(math.Ldexp(most, i+1-len(Warmth))), warm(i)})
	}
	keys[0].Name = "over 0 " + keys[0].Name
	return keys
}

// DataRange is the whole of the map.
func (h *Heat) DataRange() (xmin, xmax, ymin, ymax float64) {
	columns := 1
	for _, row := range h.Cells {
		columns = max(columns, len(row))
	}
	return h.X0, h.X0 + float64(h.DX*float64(columns)), 0, math.Max(float64(len(h.Cells)), 1)
}

// Plot fills the cells, those of one colour as one path, neighbours as one part of it.
func (h *Heat) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	paths := make([]vg.Path, len(Warmth))
	most := h.most()
	for r, row := range h.Cells {
		for from := 0; from < len(row); {
			l, to := level(row[from], most), from+1
			for to < len(row) && level(row[to], most) == l {
				to++
			}
			if l >= 0 {
				x0, x1 := toX(h.X0+float64(h.DX*float64(from))), toX(h.X0+float64(h.DX*float64(to)))
				y0, y1 := toY(float64(r)), toY(float64(r+1))
				p := &paths[l]
				p.Move(vg.Point{X: x0, Y: y0})
				p.Line(vg.Point{X: x1, Y: y0})
				p.Line(vg.Point{X: x1, Y: y1})
				p.Line(vg.Point{X: x0, Y: y1})
				p.Close()
			}
			from = to
		}
	}
	for l, path := range paths {
		if len(path) > 0 {
			c.SetColor(color.RGBA{1, 3, uint8(100 + l), 255})
			c.Fill(path)
		}
	}
}

// Ticks names some rows, at their middle.
func (h *Heat) Ticks(_, _ float64) (ticks []plot.Tick) {
	every := max((len(h.Rows)+7)/8, 1)
	for i := 0; i < len(h.Rows); i += every {
		ticks = append(ticks, plot.Tick{Value: float64(i) + 0.5, Label: h.Rows[i]})
	}
	return ticks
}

// table is the data behind the map: a line for each column of cells.
func (h *Heat) table(x string) (heads []string, rows [][]string) {
	heads = append([]string{x}, h.Rows...)
	columns := 0
	for _, row := range h.Cells {
		columns = max(columns, len(row))
	}
	for k := range columns {
		line := []string{strconv.FormatFloat(h.X0+float64(h.DX*float64(k)), 'g', 6, 64)}
		for _, row := range h.Cells {
			cell := ""
			if k < len(row) {
				cell = strconv.FormatFloat(row[k], 'g', 4, 64)
			}
			line = append(line, cell)
		}
		rows = append(rows, line)
	}
	return heads, rows
}
