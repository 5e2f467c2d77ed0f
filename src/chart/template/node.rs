//! What a template is made of, once it is parsed.

use super::eval::{Arguments, Trouble};
use super::value::Value;
use crate::chart::template::Engine;
use std::rc::Rc;

/// One piece of a template.
#[derive(Debug)]
pub(crate) enum Node {
    /// Text as it stands.
    Text(Rc<str>),
    /// A pipeline whose value is written, or that sets variables.
    Action(Pipe),
    /// `if`.
    If(Branch),
    /// `with`.
    With(Branch),
    /// `range`.
    Range(Branch),
    /// `template`: name, and what its dot is.
    Template(Rc<str>, Option<Pipe>, usize),
    /// `break`.
    Break,
    /// `continue`.
    Continue,
}

/// `if`, `with` or `range` with what follows `else`.
#[derive(Debug)]
pub(crate) struct Branch {
    /// What decides.
    pub pipe: Pipe,
    /// What is done.
    pub body: Vec<Node>,
    /// What is done otherwise.
    pub otherwise: Vec<Node>,
}

/// Commands, each given the value of the one before, and variables that take the last value.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    /// Line from 1.
    pub line: usize,
    /// Whether the variables exist already (`=`), or are new (`:=`).
    pub assigns: bool,
    /// Names of variables, with `$`.
    pub names: Vec<Rc<str>>,
    /// Commands: operands, the first of which may be a function.
    pub commands: Vec<Vec<Operand>>,
}

/// An operand of a command.
#[derive(Debug)]
pub(crate) enum Operand {
    /// `.`
    Dot,
    /// A constant; `nil` is one.
    Constant(Value),
    /// `.a.b`
    Field(Vec<Rc<str>>),
    /// `$x.a.b`
    Variable(Rc<str>, Vec<Rc<str>>),
    /// A function by its name.
    Function(&'static Function),
    /// `(…)`
    Pipe(Box<Pipe>),
    /// `(…).a.b`
    Chain(Box<Operand>, Vec<Rc<str>>),
}

/// A function that templates may call.
pub(crate) struct Function {
    /// Name.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&mut Engine, &Arguments) -> Result<Value, Trouble>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A template that was parsed: its own body and the named ones that it defines.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// What stands outside of every `define`.
    pub body: Vec<Node>,
    /// Named templates.
    pub defined: Vec<(Rc<str>, Vec<Node>)>,
}

/// Returns whether a body writes nothing but blanks: such a one does not replace another of the same name.
pub(crate) fn is_blank(body: &[Node]) -> bool {
    body.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
