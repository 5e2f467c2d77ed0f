//! Makes a tree of a template's tokens, with Go's grammar.

use super::lexer::{Kind, Token, tokens};
use super::node::{Branch, Function, Node, Operand, Parsed, Pipe, is_blank};
use super::value::Value;
use std::rc::Rc;

/// Blocks and parentheses within one another.
const DEPTH: usize = 100;

/// Parses a template. `functions` knows the functions; an error comes with its line.
pub(crate) fn parse(
    text: &str,
    functions: &dyn Fn(&str) -> Option<&'static Function>,
) -> Result<Parsed, (usize, String)> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, functions, defined: Vec::new(), depth: 0 };
    let (body, end) = parser.list()?;
    match end {
        End::Text => Ok(Parsed { body, defined: parser.defined }),
        _ => parser.wrong("an {{end}} or {{else}} has no beginning"),
    }
}

struct Parser<'t, 'f> {
    tokens: Vec<Token<'t>>,
    at: usize,
    functions: &'f dyn Fn(&str) -> Option<&'static Function>,
    defined: Vec<(Rc<str>, Vec<Node>)>,
    depth: usize,
}

type Read<T> = Result<T, (usize, String)>;

/// What ended a list of nodes.
#[derive(PartialEq, Eq)]
enum End {
    /// The template.
    Text,
    /// `{{end}}`
    End,
    /// `{{else`; what follows is not read yet.
    Else,
}

/// What a pipeline stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Action,
    Range,
    Paren,
}

impl<'t> Parser<'t, '_> {
    fn wrong<T>(&self, why: impl Into<String>) -> Read<T> {
        Err((self.line(), why.into()))
    }

    fn line(&self) -> usize {
        let here = self.tokens.get(self.at.saturating_sub(1)).or_else(|| self.tokens.last());
        here.map_or(1, |token| token.line)
    }

    fn peek(&self) -> Option<&Kind<'t>> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn next(&mut self) -> Option<Kind<'t>> {
        let kind = self.peek().cloned();
        self.at += 1;
        kind
    }

    fn skip_blanks(&mut self) {
        while self.peek() == Some(&Kind::Blank) {
            self.at += 1;
        }
    }

    fn expect(&mut self, kind: &Kind<'_>, what: &str) -> Read<()> {
        self.skip_blanks();
        if self.next().as_ref() == Some(kind) { Ok(()) } else { self.wrong(format!("expected {what}")) }
    }

    fn deeper(&mut self) -> Read<()> {
        self.depth += 1;
        if self.depth > DEPTH { self.wrong(format!("nested deeper than {DEPTH}")) } else { Ok(()) }
    }

    /// Reads nodes up to `{{end}}`, `{{else` or the end of the text.
    fn list(&mut self) -> Read<(Vec<Node>, End)> {
        self.deeper()?;
        let mut nodes = Vec::new();
        let end = loop {
            match self.next() {
                None => break End::Text,
                Some(Kind::Text(text)) => nodes.push(Node::Text(text.into())),
                Some(Kind::Open) => {
                    self.skip_blanks();
                    if let Some(end) = self.action(&mut nodes)? {
                        break end;
                    }
                }
                Some(_) => return self.wrong("a token out of place"),
            }
        };
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn action(&mut self, nodes: &mut Vec<Node>) -> Read<Option<End>> {
        let Some(Kind::Word(word)) = self.peek() else {
            nodes.push(Node::Action(self.pipeline(Place::Action)?));
            return Ok(None);
        };
        let word = *word;
        let keyword = ["if", "with", "range", "end", "else", "define", "template", "block", "break", "continue"];
        if !keyword.contains(&word) {
            nodes.push(Node::Action(self.pipeline(Place::Action)?));
            return Ok(None);
        }
        self.at += 1;
        match word {
            "end" => {
                self.expect(&Kind::Close, "the end of {{end}}")?;
                return Ok(Some(End::End));
            }
            "else" => return Ok(Some(End::Else)),
            "break" | "continue" => {
                self.expect(&Kind::Close, "the end of the action")?;
                nodes.push(if word == "break" { Node::Break } else { Node::Continue });
            }
            "define" => self.define()?,
            "template" => nodes.push(self.template()?),
            "block" => nodes.push(self.block()?),
            _ => nodes.push(self.control(word)?),
        }
        Ok(None)
    }

    fn name(&mut self) -> Read<Rc<str>> {
        self.skip_blanks();
        match self.next() {
            Some(Kind::Text2(name)) => Ok(name.into()),
            _ => self.wrong("expected the name of a template in quotes"),
        }
    }

    fn define(&mut self) -> Read<()> {
        let name = self.name()?;
        self.expect(&Kind::Close, "the end of {{define}}")?;
        self.body_of(name)
    }

    fn body_of(&mut self, name: Rc<str>) -> Read<()> {
        let (body, end) = self.list()?;
        if end != End::End {
            return self.wrong(format!("the template {name:?} has no {{{{end}}}}"));
        }
        match self.defined.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) if is_blank(old) => *old = body,
            Some(_) if is_blank(&body) => {}
            Some(_) => return self.wrong(format!("the template {name:?} is defined twice in one file")),
            None => self.defined.push((name, body)),
        }
        Ok(())
    }

    fn template(&mut self) -> Read<Node> {
        let (line, name) = (self.line(), self.name()?);
        self.skip_blanks();
        if self.peek() == Some(&Kind::Close) {
            self.at += 1;
            return Ok(Node::Template(name, None, line));
        }
        Ok(Node::Template(name, Some(self.pipeline(Place::Action)?), line))
    }

    fn block(&mut self) -> Read<Node> {
        let (line, name) = (self.line(), self.name()?);
        let pipe = self.pipeline(Place::Action)?;
        self.body_of(name.clone())?;
        Ok(Node::Template(name, Some(pipe), line))
    }

    fn control(&mut self, word: &str) -> Read<Node> {
        let pipe = self.pipeline(if word == "range" { Place::Range } else { Place::Action })?;
        let (body, end) = self.list()?;
        let otherwise = match end {
            End::End => Vec::new(),
            End::Else => self.otherwise(word)?,
            End::Text => return Err((pipe.line, format!("{{{{{word}}}}} has no {{{{end}}}}"))),
        };
        let branch = Branch { pipe, body, otherwise };
        Ok(match word {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    /// Reads what follows `{{else`: another condition of the same kind, which shares the end, or nodes.
    fn otherwise(&mut self, word: &str) -> Read<Vec<Node>> {
        self.skip_blanks();
        match self.peek() {
            Some(Kind::Word(again @ ("if" | "with"))) if *again == word => {
                self.at += 1;
                self.deeper()?;
                let node = self.control(word)?;
                self.depth -= 1;
                Ok(vec![node])
            }
            _ => {
                self.expect(&Kind::Close, "the end of {{else}}")?;
                let (nodes, end) = self.list()?;
                if end == End::End { Ok(nodes) } else { self.wrong("an {{else}} has no {{end}}") }
            }
        }
    }

    fn pipeline(&mut self, place: Place) -> Read<Pipe> {
        self.skip_blanks();
        let mut pipe = Pipe { line: self.tokens.get(self.at).map_or(1, |token| token.line), ..Pipe::default() };
        self.variables(&mut pipe, place)?;
        let close = if place == Place::Paren { Kind::ParenEnd } else { Kind::Close };
        loop {
            self.skip_blanks();
            if self.peek() == Some(&close) {
                self.at += 1;
                return if pipe.commands.is_empty() { self.wrong("a value is missing") } else { Ok(pipe) };
            }
            let command = self.command()?;
            if !pipe.commands.is_empty() && matches!(command.first(), Some(Operand::Dot | Operand::Constant(_))) {
                return self.wrong("what stands behind a | is no function, field or variable");
            }
            pipe.commands.push(command);
        }
    }

    /// Reads `$x :=`, `$x =`, and for a range `$i, $x :=`.
    fn variables(&mut self, pipe: &mut Pipe, place: Place) -> Read<()> {
        let begin = self.at;
        while let Some(Kind::Variable(name)) = self.peek() {
            let name: Rc<str> = (*name).into();
            self.at += 1;
            self.skip_blanks();
            match self.peek() {
                Some(Kind::Declare | Kind::Assign) => {
                    pipe.assigns = self.peek() == Some(&Kind::Assign);
                    pipe.names.push(name);
                    self.at += 1;
                    self.skip_blanks();
                    return Ok(());
                }
                Some(Kind::Comma) if place == Place::Range && pipe.names.is_empty() => {
                    pipe.names.push(name);
                    self.at += 1;
                    self.skip_blanks();
                    continue;
                }
                _ => {}
            }
            break;
        }
        if !pipe.names.is_empty() {
            return self.wrong("variables of a range are not given values");
        }
        self.at = begin;
        Ok(())
    }

    fn command(&mut self) -> Read<Vec<Operand>> {
        let mut operands = Vec::new();
        loop {
            self.skip_blanks();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            match self.peek() {
                Some(Kind::Blank) => {}
                Some(Kind::Close | Kind::ParenEnd) => break,
                Some(Kind::Bar) => {
                    self.at += 1;
                    self.skip_blanks();
                    if matches!(self.peek(), Some(Kind::Close | Kind::ParenEnd)) {
                        return self.wrong("nothing stands behind a |");
                    }
                    break;
                }
                _ => {
                    self.at += 1;
                    return self.wrong("an operand is followed by what is none");
                }
            }
        }
        if operands.is_empty() { self.wrong("a command is empty") } else { Ok(operands) }
    }

    fn operand(&mut self) -> Read<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let mut fields: Vec<Rc<str>> = Vec::new();
        while let Some(Kind::Field(name)) = self.peek() {
            fields.push((*name).into());
            self.at += 1;
        }
        if fields.is_empty() {
            return Ok(Some(operand));
        }
        match &mut operand {
            Operand::Field(path) | Operand::Variable(_, path) => {
                path.append(&mut fields);
                Ok(Some(operand))
            }
            Operand::Constant(_) | Operand::Dot => self.wrong("a constant has no fields"),
            _ => Ok(Some(Operand::Chain(Box::new(operand), fields))),
        }
    }

    fn term(&mut self) -> Read<Option<Operand>> {
        let Some(kind) = self.peek().cloned() else { return self.wrong("an action does not end") };
        let operand = match kind {
            Kind::Word("true") => Operand::Constant(Value::Bool(true)),
            Kind::Word("false") => Operand::Constant(Value::Bool(false)),
            Kind::Word("nil") => Operand::Constant(Value::Nil),
            Kind::Word(name) => match (self.functions)(name) {
                Some(function) => Operand::Function(function),
                None => {
                    self.at += 1;
                    return self.wrong(format!("there is no function {name:?}"));
                }
            },
            Kind::Dot => Operand::Dot,
            Kind::Field(name) => Operand::Field(vec![name.into()]),
            Kind::Variable(name) => Operand::Variable(name.into(), Vec::new()),
            Kind::Text2(text) => Operand::Constant(text.into()),
            Kind::Int(number) => Operand::Constant(Value::Int(number)),
            Kind::Float(number) => Operand::Constant(Value::Float(number)),
            Kind::Paren => {
                self.at += 1;
                self.deeper()?;
                let pipe = self.pipeline(Place::Paren)?;
                self.depth -= 1;
                return Ok(Some(Operand::Pipe(Box::new(pipe))));
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(operand))
    }
}
