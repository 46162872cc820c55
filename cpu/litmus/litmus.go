// Package litmus reads AArch64 litmus tests and finds every final state that
// the Armv8-A memory model allows for them.
//
//	text ──Parse──► Test ──paths of each thread──► Trace   values guessed from what may be written
//	                             one Trace a thread ──► candidate (program order, dependencies)
//	                             + reads-from, coherence ──axioms──► State
//
// A candidate is allowed if it satisfies the three requirements of DDI 0487
// B2.3: internal visibility (each location looks sequentially consistent to a
// thread), external visibility (ordered-before, ob, has no cycle) and
// atomicity (no foreign write within an exclusive pair or an atomic
// instruction). Names of relations (lob, dob, aob, bob, pob, obs, lrs, lws, …)
// are those of the manual and of its executable form, aarch64.cat.
package litmus

// Test is a litmus test as it is written.
type Test struct {
	File    string     // where it was read, as given to Parse
	Name    string     // after the architecture's name
	Doc     string     // the quoted text in the second line, without quotes
	Info    []Info     // Key=value lines, in order
	Threads []Thread   // columns; at most MaxThreads
	Vars    []Variable // shared variables, in order of first mention
	Words   []Instr    // instructions that are values of memory under labels, see fetch.go
	Init    []Binding  // registers with a type or an initial value other than 0
	Show    []Term     // of the locations clause, in order
	Filter  *Prop      // executions that do not satisfy it do not count; nil for all
	Cond    Condition  // what is asked about final states
}

// Info is a line Key=value between name and initial state.
type Info struct{ Key, Value string }

// Thread is one column of a test.
type Thread struct {
	ID   int // as in P0; threads are numbered from 0 without gaps
	Code []Instr
}

// Variable is shared memory that has a name.
type Variable struct {
	Name  string
	Type  Type // of an element
	Array bool // was declared with [n]
	Init  []Value
}

// Binding is the initial value of a register.
type Binding struct {
	Thread int
	Reg    Reg
	Type   Type
	Value  Value
}

// Type says how many bits of a value count and how they print. The zero Type
// is that of everything declared without one: a signed number of 32 bits.
type Type struct {
	Size     int // in bytes: 1, 2, 4, 8; 0 stands for 4
	Unsigned bool
}

// Value is what a register or an element of memory holds: a number of 64 bits,
// or an address: offset N, in bytes, into variable Var-1 of the test, or
// instruction N of Test.Words.
type Value struct {
	Var int32 // 0 for a number, word for an instruction, else index into Test.Vars plus one
	N   uint64
}

// word is Value.Var of an instruction.
const word = -1

// Reg is a register: 0 to 30 for X0 to X30, then those that are named.
type Reg uint8

// Registers that have no number in their name.
const (
	ZR   Reg = 31 // reads as zero, forgets writes
	SP   Reg = 32 // the stack pointer
	NZCV Reg = 33 // the condition flags, in bits 3 to 0
	RES  Reg = 34 // the address that the exclusive monitor watches, 0 for none
	NReg     = 35 // how many there are
)

// Term is something that has a final value: a register of a thread, a
// variable, or an element of one.
type Term struct {
	Thread int // of Reg; -1 for memory
	Reg    Reg
	Var    int // index into Test.Vars, if Thread is -1
	Index  int // of the element; -1 for the whole variable
}

// Quantifier says which final states a condition is about.
type Quantifier uint8

// Quantifiers, as they are written.
const (
	Exists    Quantifier = iota // exists P: some state satisfies P
	NotExists                   // ~exists P: none does
	ForAll                      // forall P: all do; also a bare P
)

// Condition is the question that a test asks.
type Condition struct {
	Quant Quantifier
	Prop  *Prop
}

// PropKind says what a proposition is.
type PropKind uint8

// Kinds of propositions.
const (
	True    PropKind = iota // holds always
	False                   // holds never
	And                     // all of Subs hold
	Or                      // one of Subs holds
	Implies                 // Subs[0] fails or Subs[1] holds
	Not                     // Subs[0] fails
	EqValue                 // Left has the value Values[0], or as an array Values
	EqTerm                  // Left and Right have the same value
)

// Prop is a proposition about a final state.
type Prop struct {
	Kind        PropKind
	Subs        []*Prop
	Left, Right Term
	Values      []Value
}

// EventKind says what an event does.
type EventKind uint8

// Kinds of events.
const (
	Read  EventKind = iota // an explicit memory read effect
	Write                  // an explicit memory write effect
	Fence                  // a barrier: DMB, DSB or ISB
)

// Annot is a set of properties of an event.
type Annot uint32

// Properties of events, as in aarch64.cat.
const (
	Acquire   Annot = 1 << iota // A: LDAR, LDAXR, atomics with A
	AcquirePC                   // Q: LDAPR
	Release                     // L: STLR, STLXR, atomics with L
	Exclusive                   // of a load- or store-exclusive
	Atomic                      // of an instruction that reads and writes at once (amo)
	NoReturn                    // a read whose value reaches no register: ST<op>, or zero as destination
	Fetch                       // an implicit read of an instruction
	DMBFull                     // barriers by what they order
	DMBLoad
	DMBStore
	DSBFull
	DSBLoad
	DSBStore
	ISBarrier
)

// Event is one effect of one execution of an instruction.
type Event struct {
	ID     int       // index among the events of its execution
	Thread int       // -1 for writes of the initial state
	Step   int       // which instruction of the thread's path it belongs to, from 0
	Instr  *Instr    // nil for writes of the initial state
	Kind   EventKind // what it does
	Annot  Annot     // how
	Var    int       // index into Test.Vars, for reads and writes
	Offset int       // into the variable, in bytes
	Size   int       // in bytes: 1, 2, 4, 8 or 16
	Value  Value     // what is read or written
}

// Edge is one pair of a relation.
type Edge struct {
	From, To int    // events
	Name     string // of the relation, such as "rfe", "addr" or "dmb.sy"
}

// Model names the axioms that an execution must satisfy.
type Model uint8

// Models.
const (
	Arm Model = iota // Armv8-A, as aarch64.cat of herdtools7
	TSO              // total store order: only a write may be overtaken, by a later read
	SC               // sequential consistency
)

// Verdict is the answer to a condition.
type Verdict uint8

// Verdicts, as they are printed.
const (
	No Verdict = iota // the condition fails
	Ok                // it holds
)

// Observation says how many of the executions satisfy a test's proposition.
type Observation uint8

// Observations, as they are printed.
const (
	Never Observation = iota
	Sometimes
	Always
)

// Options of an exploration. The zero value asks what herd7 answers.
type Options struct {
	Model      Model
	Bound      int    // how often a thread may jump back to the same place; 0 means DefaultBound
	NoSpurious bool   // store-exclusives do not fail without a reason
	Also       []Term // shown besides those of the locations clause and the condition

	// For tests, which try each way on what the other can do too.
	halves   bool // divide memory into pieces of two bytes, as if accesses of that size occurred
	coherent bool // drop paths that no execution can contain, however few there are
}

// DefaultBound is how often a thread may jump back to the same place: herd7's
// default.
const DefaultBound = 2

func (o *Options) bound() int {
	if o.Bound == 0 {
		return DefaultBound
	}
	return o.Bound
}

// State is a final state: the values of Result.Terms, one after the other. An
// array has as many values as elements.
type State []Value

// Result is what all allowed executions of a test end in.
type Result struct {
	Test        *Test
	Model       Model
	Terms       []Term      // what a state shows, sorted as it prints
	States      []State     // each once, sorted as they print
	Positive    int         // allowed executions that satisfy the proposition
	Negative    int         // allowed executions that do not
	Verdict     Verdict     // the answer to the condition
	Observation Observation // Positive against Negative
	Bound       int         // how often a thread could jump back to the same place
	Cut         bool        // some execution ended at the bound: States may be incomplete
}
