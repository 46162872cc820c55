package exec

import (
	"errors"

	"ringmap/sim"
)

var errPipeline = errors.New("exec: impossible state of a pipeline")

// syncModel saves, restores or hashes the model and what it holds between two Runs.
func (e *Exec) syncModel(c *sim.Codec) {
	e.Stats.sync(c)
	model := e.model
	sim.Uint(c, &model)
	used := e.pipe != nil
	c.Bool(&used)
	if model >= numModels || model == Inorder && !used {
		c.Fail(errPipeline)
		return
	}
	if c.Loading() {
		e.model, e.pipe = model, nil
		if used {
			e.newPipeline()
		}
	}
	if used {
		e.pipe.sync(c)
	}
}

func (p *pipeline) sync(c *sim.Codec) {
	sim.Uint(c, &p.now)
	c.U8(&p.issued)
	for i := range p.ready {
		sim.Uint(c, &p.ready[i])
		sim.Uint(c, &p.late[i])
		if p.late[i] >= NumStalls {
			c.Fail(errPipeline)
			p.late[i] = 0
		}
	}
	for _, at := range []*sim.Cycle{&p.free[0], &p.free[1], &p.free[2], &p.loads, &p.acquired, &p.released, &p.tlbi, &p.drained} {
		sim.Uint(c, at)
	}
	c.Int(&p.head)
	c.Int(&p.waiting)
	if p.head < 0 || p.head >= maxStoreBuffer || p.waiting < 0 || p.waiting > maxStoreBuffer {
		c.Fail(errPipeline)
		p.head, p.waiting = 0, 0
	}
	for i := range p.waiting {
		sim.Uint(c, &p.drains[(p.head+i)%maxStoreBuffer])
	}
	for i := range p.forward {
		f := &p.forward[i]
		sim.Uint(c, &f.word)
		sim.Uint(c, &f.until)
		c.Bool(&f.atomic)
	}
	sim.Uint(c, &p.line)
	for i := range p.lines {
		sim.Uint(c, &p.lines[i])
	}
	p.predictor.sync(c)
}
