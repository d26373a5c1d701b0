//! How much of BPF's stack a program and what it calls take, as its instructions say.

use std::collections::{BTreeMap, BTreeSet};

use object::{
    File, Object as _, ObjectSection as _, ObjectSymbol as _, Relocation, RelocationTarget,
    SectionIndex, Symbol, SymbolKind,
};

/// Of a frame, in bytes, the kernel takes a multiple (until Linux 6.6; 16 since, where programs are
/// compiled), and one at least (`check_max_stack_depth`).
const UNIT: u32 = 32;
/// Bytes of an instruction.
const SIZE: usize = 8;
/// The register that points behind the frame.
const FRAME: u8 = 10;

/// What is known of a function.
#[derive(Default)]
struct Function {
    /// Bytes of its frame.
    frame: u32,
    calls: BTreeSet<String>,
}

/// Bytes of stack that every function of an object takes with what it calls, and the way there.
pub fn depths(bytes: &[u8]) -> BTreeMap<String, (u32, String)> {
    let functions = functions(bytes);
    let deepest = |name: &String| (name.clone(), depth(&functions, name));
    functions.keys().map(deepest).collect()
}

/// Programs do not call themselves: the kernel sees to it.
fn depth(functions: &BTreeMap<String, Function>, name: &str) -> (u32, String) {
    let function = &functions[name];
    let own = function.frame.max(1).next_multiple_of(UNIT);
    let below = function.calls.iter().map(|called| depth(functions, called));
    let (below, way) = below.max().unwrap_or_default();
    (own + below, format!("{name} ({}) {way}", function.frame))
}

fn functions(bytes: &[u8]) -> BTreeMap<String, Function> {
    let object = object::File::parse(bytes).expect("an ELF file");
    let symbols = object.symbols().filter(is_function);
    symbols
        .map(|symbol| (name(&symbol), function(&object, &symbol)))
        .collect()
}

fn is_function(symbol: &Symbol<'_, '_>) -> bool {
    symbol.kind() == SymbolKind::Text && symbol.section_index().is_some()
}

fn name(symbol: &Symbol<'_, '_>) -> String {
    symbol.name().expect("functions have names").to_owned()
}

fn function(object: &File<'_>, symbol: &Symbol<'_, '_>) -> Function {
    let index = symbol.section_index().expect("functions have sections");
    let section = object.section_by_index(index).expect("its section");
    let relocations: BTreeMap<u64, _> = section.relocations().collect();
    let (start, size) = (symbol.address() as usize, symbol.size() as usize);
    let code = &section.data().expect("its bytes")[start..start + size];
    let mut function = Function::default();
    let mut copy = None;
    for (place, bytes) in (start..).step_by(SIZE).zip(code.chunks(SIZE)) {
        let instruction = Instruction::new(bytes);
        if let Some(bytes) = instruction.reaches(copy) {
            function.frame = function.frame.max(bytes);
        }
        copy = instruction.copies_frame();
        if instruction.is_call() {
            let relocation = relocations.get(&(place as u64)).map(Relocation::target);
            let from = (index, place);
            function
                .calls
                .insert(instruction.called(object, from, relocation));
        }
    }
    function
}

/// An instruction (RFC 9669, section 3).
struct Instruction {
    code: u8,
    destination: u8,
    source: u8,
    offset: i16,
    number: i32,
}

impl Instruction {
    fn new(bytes: &[u8]) -> Self {
        Self {
            code: bytes[0],
            destination: bytes[1] & 15,
            source: bytes[1] >> 4,
            offset: i16::from_le_bytes([bytes[2], bytes[3]]),
            number: i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        }
    }

    /// How far into the frame it reaches, where register `copy` points behind the frame too.
    fn reaches(&self, copy: Option<u8>) -> Option<u32> {
        const LDX: u8 = 1;
        const ST: u8 = 2;
        const STX: u8 = 3;
        /// Adds a number to a register of 64 bits.
        const ADD: u8 = 0x07;
        let base = match self.code & 7 {
            LDX => Some(self.source),
            ST | STX => Some(self.destination),
            _ => None,
        };
        if base == Some(FRAME) {
            return Some(i32::from(self.offset).min(0).unsigned_abs());
        }
        let is_address = self.code == ADD && copy == Some(self.destination);
        is_address.then(|| self.number.min(0).unsigned_abs())
    }

    /// The register that it makes point behind the frame.
    fn copies_frame(&self) -> Option<u8> {
        /// Moves a register of 64 bits.
        const MOVE: u8 = 0xbf;
        (self.code == MOVE && self.source == FRAME).then_some(self.destination)
    }

    /// The function that it calls, from a place in a section.
    fn called(
        &self,
        object: &File<'_>,
        (section, place): (SectionIndex, usize),
        relocation: Option<RelocationTarget>,
    ) -> String {
        let (section, base) = match relocation {
            Some(RelocationTarget::Symbol(symbol)) => {
                let symbol = object.symbol_by_index(symbol).expect("its symbol");
                match symbol.section_index() {
                    Some(section) if symbol.kind() == SymbolKind::Section => (section, 0),
                    _ => return name(&symbol),
                }
            }
            _ => (section, place),
        };
        // Counted in instructions from the next one on.
        let next = (base + SIZE) as u64;
        let address = next.wrapping_add_signed(i64::from(self.number) * SIZE as i64);
        let mut functions = object.symbols().filter(is_function);
        let called = functions
            .find(|symbol| symbol.section_index() == Some(section) && symbol.address() == address);
        name(&called.expect("functions are called at their beginning"))
    }

    /// Whether it calls a function of the object.
    fn is_call(&self) -> bool {
        const CALL: u8 = 0x85;
        const OF_THE_PROGRAM: u8 = 1;
        self.code == CALL && self.source == OF_THE_PROGRAM
    }
}
