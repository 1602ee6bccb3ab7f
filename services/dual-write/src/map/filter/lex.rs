//! The words of both languages.

use winnow::Result;
use winnow::ascii::{digit1, multispace0};
use winnow::combinator::{alt, delimited, fail, opt, peek, repeat};
use winnow::prelude::*;
use winnow::token::{any, none_of, one_of, take_while};

use super::{FilterError, Language, Literal, Operator};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    /// Of a function's arguments, which no filter may have.
    Comma,
    And,
    Or,
    Not,
    Operator(Operator),
    Literal(Literal),
    /// A column, or a symbol.
    Word(String),
}

/// Each with the byte at which it begins.
pub(super) fn tokens(
    text: &str,
    language: Language,
) -> std::result::Result<Vec<(usize, Token)>, FilterError> {
    let mut rest = text;
    let mut tokens = Vec::new();
    loop {
        let _: Result<&str> = multispace0.parse_next(&mut rest);
        if rest.is_empty() {
            return Ok(tokens);
        }
        let position = text.len() - rest.len();
        let token = match language {
            Language::Range => range_token.parse_next(&mut rest),
            Language::OData => odata_token.parse_next(&mut rest),
        };
        let token = token.map_err(|_| FilterError::new(position, "this is no part of a filter"))?;
        tokens.push((position, token));
    }
}

fn range_token(input: &mut &str) -> Result<Token> {
    let compared = alt((
        "==".value(Operator::Equal),
        "!=".value(Operator::NotEqual),
        ">=".value(Operator::GreaterEqual),
        "<=".value(Operator::LessEqual),
        '>'.value(Operator::Greater),
        '<'.value(Operator::Less),
    ));
    let joined = alt((
        '('.value(Token::Open),
        ')'.value(Token::Close),
        "&&".value(Token::And),
        "||".value(Token::Or),
        '!'.value(Token::Not),
    ));
    let word = alt((
        range_text('"').map(|it| Token::Literal(Literal::Text(it))),
        range_text('\'').map(|it| Token::Literal(Literal::Text(it))),
        range_date.map(|it| Token::Literal(Literal::Date(it))),
        number,
        range_word,
    ));
    alt((compared.map(Token::Operator), joined, word)).parse_next(input)
}

/// A backslash takes what follows it as it is.
fn range_text<'s>(quote: char) -> impl TextParser<'s, String> {
    move |input: &mut &'s str| {
        let plain = none_of([quote, '\\']);
        let escaped = ('\\', any).map(|it| it.1);
        delimited(quote, repeat(0.., alt((plain, escaped))), quote).parse_next(input)
    }
}

/// A parser of text.
pub(super) trait TextParser<'s, O>: Parser<&'s str, O, winnow::error::ContextError> {}

impl<'s, O, P: Parser<&'s str, O, winnow::error::ContextError>> TextParser<'s, O> for P {}

/// `23\06\2021`
fn range_date(input: &mut &str) -> Result<String> {
    let (day, _, month, _, year): (&str, _, &str, _, &str) =
        (digits(1..=2), '\\', digits(1..=2), '\\', digits(4..=4)).parse_next(input)?;
    Ok(format!("{year}-{month:0>2}-{day:0>2}"))
}

fn range_word(input: &mut &str) -> Result<Token> {
    let first = word.parse_next(input)?;
    if let Some((_, second)) = opt(("::", word)).parse_next(input)? {
        let symbol = Literal::Symbol(Some(first.to_owned()), second.to_owned());
        return Ok(Token::Literal(symbol));
    }
    Ok(match first {
        _ if first.eq_ignore_ascii_case("like") => Token::Operator(Operator::Like),
        "true" => Token::Literal(Literal::Boolean(true)),
        "false" => Token::Literal(Literal::Boolean(false)),
        _ => Token::Word(first.to_owned()),
    })
}

fn odata_token(input: &mut &str) -> Result<Token> {
    alt((
        '('.value(Token::Open),
        ')'.value(Token::Close),
        ','.value(Token::Comma),
        odata_text.map(|it| Token::Literal(Literal::Text(it))),
        guid.map(|it| Token::Literal(Literal::Guid(it.to_ascii_lowercase()))),
        odata_date.map(Token::Literal),
        number,
        odata_word,
    ))
    .parse_next(input)
}

/// Two quotes stand for one.
fn odata_text(input: &mut &str) -> Result<String> {
    let character = alt((none_of('\''), "''".value('\'')));
    delimited('\'', repeat(0.., character), '\'').parse_next(input)
}

fn odata_date(input: &mut &str) -> Result<Literal> {
    let date = (digits(4..=4), '-', digits(2..=2), '-', digits(2..=2)).take().parse_next(input)?;
    let time = ('T', take_while(1.., ('0'..='9', ':', '.')), offset).take();
    let time: Option<&str> = opt(time).parse_next(input)?;
    end_of_word.parse_next(input)?;
    Ok(match time {
        Some(time) => Literal::Moment(format!("{date}{time}")),
        None => Literal::Date(date.to_owned()),
    })
}

fn offset<'s>(input: &mut &'s str) -> Result<&'s str> {
    let shifted = (one_of(['+', '-']), digits(2..=2), ':', digits(2..=2)).take();
    alt(("Z", shifted)).parse_next(input)
}

fn guid<'s>(input: &mut &'s str) -> Result<&'s str> {
    let hex = |count: usize| take_while(count..=count, |it: char| it.is_ascii_hexdigit());
    let guid =
        (hex(8), '-', hex(4), '-', hex(4), '-', hex(4), '-', hex(12)).take().parse_next(input)?;
    end_of_word.parse_next(input)?;
    Ok(guid)
}

fn odata_word(input: &mut &str) -> Result<Token> {
    let first = word.parse_next(input)?;
    Ok(match first {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        "eq" => Token::Operator(Operator::Equal),
        "ne" => Token::Operator(Operator::NotEqual),
        "gt" => Token::Operator(Operator::Greater),
        "ge" => Token::Operator(Operator::GreaterEqual),
        "lt" => Token::Operator(Operator::Less),
        "le" => Token::Operator(Operator::LessEqual),
        "null" => Token::Literal(Literal::Null),
        "true" => Token::Literal(Literal::Boolean(true)),
        "false" => Token::Literal(Literal::Boolean(false)),
        _ => Token::Word(first.to_owned()),
    })
}

fn number(input: &mut &str) -> Result<Token> {
    let number = (opt('-'), digit1, opt(('.', digit1))).take().parse_next(input)?;
    end_of_word.parse_next(input)?;
    Ok(Token::Literal(Literal::Number(number.to_owned())))
}

fn word<'s>(input: &mut &'s str) -> Result<&'s str> {
    let first = |it: char| it.is_alphabetic() || it == '_';
    (one_of(first), take_while(0.., |it: char| it.is_alphanumeric() || it == '_'))
        .take()
        .parse_next(input)
}

/// Nothing follows that would make it another word.
fn end_of_word(input: &mut &str) -> Result<()> {
    let next: Option<char> = peek(opt(any)).parse_next(input)?;
    if next.is_some_and(|it| it.is_alphanumeric() || it == '_' || it == '-') {
        return fail.parse_next(input);
    }
    Ok(())
}

fn digits<'s>(count: std::ops::RangeInclusive<usize>) -> impl TextParser<'s, &'s str> {
    take_while(count, |it: char| it.is_ascii_digit())
}
