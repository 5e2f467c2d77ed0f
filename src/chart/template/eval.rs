//! Evaluates templates as Go's `text/template` does, within one budget for the whole chart.

use super::node::{Branch, Node, Operand, Parsed, Pipe, is_blank};
use super::print::show;
use super::value::{Table, Value};
use crate::chart::functions::methods;
use crate::model::limits;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Bytes that a call of a function counts for, beside what it gives.
const CALL_BYTES: usize = 32;

/// Why a template cannot be evaluated, with the place.
#[derive(Debug)]
pub(crate) struct Fail {
    /// File in which the template stands.
    pub template: Rc<str>,
    /// Line from 1.
    pub line: usize,
    /// What kind of trouble it is; never [`Trouble::Inside`].
    pub trouble: Trouble,
}

/// What a function or operand complains about.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Something does not fit.
    Wrong(String),
    /// The chart itself refuses.
    Refused(String),
    /// A limit is reached.
    Limit(String),
    /// A template that was called failed; its place counts.
    Inside(Box<Fail>),
}

impl From<String> for Trouble {
    fn from(words: String) -> Self {
        Self::Wrong(words)
    }
}

impl From<&str> for Trouble {
    fn from(words: &str) -> Self {
        Self::Wrong(words.to_owned())
    }
}

/// What a function is given.
pub(crate) struct Arguments(pub Vec<Value>);

/// Named templates; those of a `tpl` stand before those around it.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    templates: RefCell<HashMap<Rc<str>, Rc<Named>>>,
    around: Option<Rc<Scope>>,
}

/// A named template and the file that it stands in.
#[derive(Debug)]
pub(crate) struct Named {
    body: Vec<Node>,
    file: Rc<str>,
}

impl Scope {
    /// Makes a scope within another.
    pub fn within(around: Rc<Self>) -> Self {
        Self { templates: RefCell::default(), around: Some(around) }
    }

    /// Takes in what a file defines, and its body under the file's own name. What comes later wins, unless it is blank.
    pub fn add(&self, file: &Rc<str>, parsed: Parsed) {
        for (name, body) in parsed.defined.into_iter().chain([(file.clone(), parsed.body)]) {
            let old = self.find(&name);
            if !(is_blank(&body) && old.is_some_and(|old| !is_blank(&old.body))) {
                self.templates.borrow_mut().insert(name, Rc::new(Named { body, file: file.clone() }));
            }
        }
    }

    fn find(&self, name: &str) -> Option<Rc<Named>> {
        let own = self.templates.borrow().get(name).cloned();
        own.or_else(|| self.around.as_ref()?.find(name))
    }
}

/// What all templates of a chart share.
pub(crate) struct Engine {
    /// Named templates that a call can reach.
    pub scope: Rc<Scope>,
    /// Regular expressions that were compiled.
    pub patterns: HashMap<Rc<str>, regex::Regex>,
    /// The time that templates are told, in seconds since 1970.
    pub now: i64,
    /// How many made-up values there were.
    pub made_up: u64,
    /// Name of the template that runs, for `tpl`.
    pub running: Rc<str>,
    steps: u64,
    bytes: usize,
    depth: usize,
}

impl Engine {
    /// Makes an engine with a whole budget.
    pub fn new(now: i64) -> Self {
        Self {
            scope: Rc::default(),
            patterns: HashMap::new(),
            now,
            made_up: 0,
            running: "".into(),
            steps: limits::RENDER_STEPS,
            bytes: limits::RENDER_BYTES,
            depth: 0,
        }
    }

    /// Counts steps.
    pub fn take_steps(&mut self, steps: u64) -> Result<(), Trouble> {
        let over = || Trouble::Limit(format!("more than {} steps", limits::RENDER_STEPS));
        self.steps = self.steps.checked_sub(steps).ok_or_else(over)?;
        Ok(())
    }

    /// Counts bytes that are about to be made.
    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), Trouble> {
        let over = || Trouble::Limit(format!("more than {} bytes", limits::RENDER_BYTES));
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(over)?;
        Ok(())
    }

    /// Evaluates the template called `name` with `dot`.
    pub fn call(&mut self, name: &str, dot: &Value) -> Result<String, Trouble> {
        let Some(template) = self.scope.find(name) else {
            return Err(Trouble::Wrong(format!("there is no template {name:?}")));
        };
        self.deeper()?;
        let mut frame = Frame {
            engine: self,
            file: template.file.clone(),
            variables: vec![("$".into(), dot.clone())],
            out: String::new(),
        };
        let done = frame.walk(&template.body, dot);
        let out = frame.out;
        self.depth -= 1;
        done.map_err(|fail| Trouble::Inside(Box::new(fail)))?;
        Ok(out)
    }

    /// Counts one more template within a template.
    fn deeper(&mut self) -> Result<(), Trouble> {
        self.depth += 1;
        if self.depth > limits::RENDER_DEPTH {
            return Err(Trouble::Limit(format!("templates call one another more than {} deep", limits::RENDER_DEPTH)));
        }
        Ok(())
    }
}

/// One run of one template.
struct Frame<'e> {
    engine: &'e mut Engine,
    file: Rc<str>,
    variables: Vec<(Rc<str>, Value)>,
    out: String,
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl Frame<'_> {
    fn fail(&self, line: usize, trouble: Trouble) -> Fail {
        match trouble {
            Trouble::Inside(fail) => *fail,
            trouble => Fail { template: self.file.clone(), line, trouble },
        }
    }

    fn walk(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Fail> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.write(text, 0)?;
                    Flow::Next
                }
                Node::Action(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    if pipe.names.is_empty() {
                        self.write_value(&value, pipe.line)?;
                    }
                    Flow::Next
                }
                Node::If(branch) => self.condition(branch, dot, false)?,
                Node::With(branch) => self.condition(branch, dot, true)?,
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Template(name, pipe, line) => self.template(name, pipe.as_ref(), *line, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn write(&mut self, text: &str, line: usize) -> Result<(), Fail> {
        self.engine.take_bytes(text.len()).map_err(|trouble| self.fail(line, trouble))?;
        self.out.push_str(text);
        Ok(())
    }

    fn write_value(&mut self, value: &Value, line: usize) -> Result<(), Fail> {
        match value {
            Value::Nil => self.write("<no value>", line),
            Value::Text(text) => self.write(text, line),
            other => {
                let text = show(other).map_err(|trouble| self.fail(line, trouble))?;
                self.write(&text, line)
            }
        }
    }

    fn condition(&mut self, branch: &Branch, dot: &Value, moves_dot: bool) -> Result<Flow, Fail> {
        let mark = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = match (value.is_true(), moves_dot) {
            (true, true) => self.walk(&branch.body, &value)?,
            (true, false) => self.walk(&branch.body, dot)?,
            (false, _) => self.walk(&branch.otherwise, dot)?,
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, Fail> {
        let mark = self.variables.len();
        let over = self.pipe(&branch.pipe, dot)?;
        let inner = self.variables.len();
        let mut any = false;
        for (key, item) in self.items(branch, &over)? {
            any = true;
            self.engine.take_steps(1).map_err(|trouble| self.fail(branch.pipe.line, trouble))?;
            self.name_item(&branch.pipe, key, &item)?;
            let flow = self.walk(&branch.body, &item)?;
            self.variables.truncate(inner);
            if flow == Flow::Break {
                break;
            }
        }
        let flow = if any { Flow::Next } else { self.walk(&branch.otherwise, dot)? };
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// Returns the pairs that a range goes over.
    fn items(&self, branch: &Branch, over: &Value) -> Result<Vec<(Value, Value)>, Fail> {
        let wrong = |what: &str| self.fail(branch.pipe.line, Trouble::Wrong(format!("a range cannot go over {what}")));
        Ok(match over {
            Value::Nil => Vec::new(),
            Value::List(list) => {
                list.items.iter().enumerate().map(|(at, item)| (Value::Int(at as i64), item.clone())).collect()
            }
            Value::Map(table) => {
                table.entries.borrow().iter().map(|(key, item)| (Value::Text(key.clone()), item.clone())).collect()
            }
            Value::Bytes(bytes) => {
                let item = |(at, byte): (usize, &u8)| (Value::Int(at as i64), Value::Int(i64::from(*byte)));
                bytes.iter().enumerate().map(item).collect()
            }
            Value::Int(_) | Value::Int64(_) if branch.pipe.names.len() > 1 => {
                return Err(wrong("a number with two variables"));
            }
            Value::Int(count) | Value::Int64(count) => {
                if *count > 1_000_000 {
                    return Err(
                        self.fail(branch.pipe.line, Trouble::Limit("a range over more than a million".to_owned()))
                    );
                }
                (0..*count).map(|at| (Value::Nil, Value::Int(at))).collect()
            }
            other => return Err(wrong(other.type_name())),
        })
    }

    fn name_item(&mut self, pipe: &Pipe, key: Value, item: &Value) -> Result<(), Fail> {
        let named = match pipe.names.as_slice() {
            [] => return Ok(()),
            [one] => vec![(one, item.clone())],
            [first, second, ..] => vec![(first, key), (second, item.clone())],
        };
        for (name, value) in named {
            if pipe.assigns {
                self.assign(name, value, pipe.line)?;
            } else {
                self.variables.push((name.clone(), value));
            }
        }
        Ok(())
    }

    fn assign(&mut self, name: &str, value: Value, line: usize) -> Result<(), Fail> {
        match self.variables.iter_mut().rev().find(|(known, _)| &**known == name) {
            Some((_, place)) => {
                *place = value;
                Ok(())
            }
            None => Err(self.fail(line, Trouble::Wrong(format!("there is no variable {name}")))),
        }
    }

    fn template(&mut self, name: &str, pipe: Option<&Pipe>, line: usize, dot: &Value) -> Result<Flow, Fail> {
        let dot = match pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        let text = self.engine.call(name, &dot).map_err(|trouble| self.fail(line, trouble))?;
        self.write(&text, line)?;
        Ok(Flow::Next)
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Fail> {
        let value = self.commands(pipe, dot).map_err(|trouble| self.fail(pipe.line, trouble))?;
        // A range gives its variables values itself.
        let for_range = pipe.names.len() > 1;
        if !for_range {
            for name in &pipe.names {
                if pipe.assigns {
                    self.assign(name, value.clone(), pipe.line)?;
                } else {
                    self.variables.push((name.clone(), value.clone()));
                }
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Trouble> {
        let mut last: Option<Value> = None;
        for command in &pipe.commands {
            self.engine.take_steps(1)?;
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Value::Nil))
    }

    /// Evaluates a command; `last` is the value of the one before and becomes its last argument.
    fn command(&mut self, operands: &[Operand], dot: &Value, last: Option<Value>) -> Result<Value, Trouble> {
        let Some((first, rest)) = operands.split_first() else { return Ok(Value::Nil) };
        match first {
            Operand::Function(function) => {
                if matches!(function.name, "and" | "or") {
                    return self.shortcut(function.name == "and", rest, dot, last);
                }
                let mut arguments = Vec::with_capacity(rest.len() + 1);
                for operand in rest {
                    arguments.push(self.operand(operand, dot)?);
                }
                arguments.extend(last);
                let value = (function.run)(self.engine, &Arguments(arguments))
                    .map_err(|trouble| named(function.name, trouble))?;
                self.engine.take_bytes(CALL_BYTES + weight(&value))?;
                Ok(value)
            }
            Operand::Field(path) => self.path(dot, path, rest, dot, last),
            Operand::Variable(name, path) if !path.is_empty() => {
                let value = self.variable(name)?;
                self.path(&value, path, rest, dot, last)
            }
            Operand::Chain(inner, path) => {
                let value = self.operand(inner, dot)?;
                self.path(&value, path, rest, dot, last)
            }
            Operand::Pipe(inner) if rest.is_empty() && last.is_none() => {
                let mark = self.variables.len();
                let value = self.pipe(inner, dot).map_err(|fail| Trouble::Inside(Box::new(fail)));
                self.variables.truncate(mark);
                value
            }
            _ if rest.is_empty() && last.is_none() => self.operand(first, dot),
            _ => Err("what is no function is given arguments".into()),
        }
    }

    /// `and` and `or` evaluate only as much as they need.
    fn shortcut(&mut self, and: bool, rest: &[Operand], dot: &Value, last: Option<Value>) -> Result<Value, Trouble> {
        let mut value = None;
        for operand in rest {
            let found = self.operand(operand, dot)?;
            if found.is_true() != and {
                return Ok(found);
            }
            value = Some(found);
        }
        last.or(value).ok_or_else(|| "and, or: at least one argument is needed".into())
    }

    fn variable(&self, name: &str) -> Result<Value, Trouble> {
        let found = self.variables.iter().rev().find(|(known, _)| &**known == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| Trouble::Wrong(format!("there is no variable {name}")))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Trouble> {
        match operand {
            Operand::Dot => Ok(dot.clone()),
            Operand::Constant(value) => Ok(value.clone()),
            Operand::Variable(name, path) if path.is_empty() => self.variable(name),
            _ => self.command(std::slice::from_ref(operand), dot, None),
        }
    }

    /// Follows `.a.b` from `from`; what stands behind are arguments of the last, where that is a method.
    fn path(
        &mut self,
        from: &Value,
        path: &[Rc<str>],
        rest: &[Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Trouble> {
        let mut value = from.clone();
        let Some((end, way)) = path.split_last() else { return Ok(value) };
        // What begins with nothing is nothing; only what becomes nothing on the way is a mistake, as in Go.
        if matches!(value, Value::Nil) {
            return Ok(value);
        }
        for name in way {
            value = self.field(&value, name, None)?;
        }
        if rest.is_empty() && last.is_none() {
            return self.field(&value, end, None);
        }
        let mut arguments = Vec::new();
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        self.field(&value, end, Some(Arguments(arguments)))
    }

    fn field(&mut self, value: &Value, name: &str, arguments: Option<Arguments>) -> Result<Value, Trouble> {
        let none = Arguments(Vec::new());
        let given = arguments.as_ref().unwrap_or(&none);
        if let Some(found) = methods::call(self.engine, value, name, given) {
            let found = found.map_err(|trouble| named(name, trouble))?;
            self.engine.take_bytes(CALL_BYTES + weight(&found))?;
            return Ok(found);
        }
        if arguments.is_some() {
            return Err(Trouble::Wrong(format!("{name} is no method, but is given arguments")));
        }
        match value {
            Value::Nil => Err(Trouble::Wrong(format!(
                "nothing stands before .{name} (nil pointer evaluating interface {{}}.{name})"
            ))),
            Value::Map(table) => Ok(Value::lookup(table, name)),
            Value::Record(record) => record.get(name).cloned().ok_or_else(|| no_field(value, name)),
            _ => Err(no_field(value, name)),
        }
    }
}

fn no_field(value: &Value, name: &str) -> Trouble {
    Trouble::Wrong(format!("there is no field {name} in what is a {}", value.type_name()))
}

/// Puts the name of a function in front of its trouble.
fn named(name: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Wrong(words) => Trouble::Wrong(format!("{name}: {words}")),
        other => other,
    }
}

/// What a value that a function gave counts for.
fn weight(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::List(list) => 16 * list.items.len(),
        _ => 0,
    }
}

impl Arguments {
    /// Returns the argument at a place.
    pub fn any(&self, at: usize) -> Result<&Value, Trouble> {
        self.0.get(at).ok_or_else(|| Trouble::Wrong(format!("needs more than {} arguments", self.0.len())))
    }

    /// Returns the text at a place.
    pub fn text(&self, at: usize) -> Result<&str, Trouble> {
        match self.any(at)? {
            Value::Text(text) => Ok(text),
            other => Err(Trouble::Wrong(format!("argument {} is a text, found {}", at + 1, other.type_name()))),
        }
    }

    /// Returns the whole number at a place.
    pub fn int(&self, at: usize) -> Result<i64, Trouble> {
        match self.any(at)? {
            Value::Int(number) | Value::Int64(number) => Ok(*number),
            other => Err(Trouble::Wrong(format!("argument {} is an int, found {}", at + 1, other.type_name()))),
        }
    }

    /// Returns the dictionary at a place; nothing counts as an empty one.
    pub fn map(&self, at: usize) -> Result<Rc<Table>, Trouble> {
        match self.any(at)? {
            Value::Map(table) => Ok(table.clone()),
            Value::Nil => Ok(Rc::default()),
            other => Err(Trouble::Wrong(format!("argument {} is a dictionary, found {}", at + 1, other.type_name()))),
        }
    }

    /// Returns the items of the list at a place.
    pub fn list(&self, at: usize) -> Result<Vec<Value>, Trouble> {
        match self.any(at)? {
            Value::List(list) => Ok(list.items.clone()),
            Value::Bytes(bytes) => Ok(bytes.iter().map(|byte| Value::Int(i64::from(*byte))).collect()),
            other => Err(Trouble::Wrong(format!("argument {} is a list, found {}", at + 1, other.type_name()))),
        }
    }

    /// Returns the arguments from a place on.
    pub fn rest(&self, from: usize) -> &[Value] {
        self.0.get(from..).unwrap_or_default()
    }
}
