//! The template language of Go (`text/template`), as far as charts can see it: parser, values, evaluator.
//!
//! Written here because a chart needs what a general library does not give: dictionaries that `set` changes in place
//! for all who hold them, functions that call templates, methods of values, the place of a mistake, and one budget for
//! everything that a chart sets off (`docs/adr/0011`).

mod eval;
mod lexer;
mod node;
mod parser;
mod print;
mod value;

pub(super) use eval::{Arguments, Engine, Fail, Scope, Trouble};
pub(super) use lexer::whole_number;
pub(super) use node::Function;
pub(super) use parser::parse;
pub(super) use print::{float, printf, quote, show, signed_exponent, sprint};
pub(super) use value::{List, ListKind, Table, TableKind, Value, WALK_DEPTH};
