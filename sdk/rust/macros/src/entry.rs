//! `#[agent]` and `#[tool]`: a function and, beside it, a type of the same name
//! that carries its definition.
//!
//! Owns the rules for names and signatures. Never looks at what a type is: the
//! traits of the SDK do, with the compiler's own words where one does not fit.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, FnArg, ItemFn, Lit, LitStr, Meta, Result, ReturnType, Type};

/// What differs between an agent and a tool.
pub(crate) struct Entry {
    word: &'static str,
    article: &'static str,
    /// The character between the words of a name.
    hyphen: char,
    /// The most bytes of a description.
    description_bytes: usize,
}

impl Entry {
    pub(crate) const AGENT: Self =
        Self { word: "agent", article: "an", hyphen: '-', description_bytes: 4096 };
    pub(crate) const TOOL: Self = Self { word: "tool", article: "a", hyphen: '_', description_bytes: 4096 };

    /// What is wrong with a name, if anything.
    fn check_name(&self, name: &str) -> std::result::Result<(), String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == self.hyphen;
        if (1..=64).contains(&name.len()) && name.chars().all(fits) {
            return Ok(());
        }
        let Self { word, article, hyphen, .. } = self;
        Err(format!("`{name}` is no name for {article} {word}: 1 to 64 of `a-z`, `0-9`, `{hyphen}`"))
    }
}

pub(crate) fn expand(entry: &Entry, arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    let input = input_type(entry, &function)?;
    let name = name(entry, arguments, &function)?;
    let description = description(entry, &function)?;

    let ItemFn { vis, sig, .. } = &function;
    let ident = &sig.ident;
    let call = if sig.inputs.is_empty() { quote!(|_| #ident()) } else { quote!(#ident) };
    let (implementation, doc) = match entry.word {
        "agent" => {
            let input = input.map_or_else(|| quote!(::sublane_sdk::__private::Anything), |ty| quote!(#ty));
            let body = quote! {
                fn input_schema() -> ::std::string::String {
                    ::sublane_sdk::__private::agent_schema::<#input>()
                }
                fn run(
                    task: ::sublane_sdk::__private::RawTask,
                ) -> ::std::result::Result<
                    ::sublane_sdk::__private::RawOutput,
                    ::sublane_sdk::__private::RawFailure,
                > {
                    ::sublane_sdk::__private::run_agent::<#input, _, _>(task, #call)
                }
            };
            (quote!(impl ::sublane_sdk::Agent for #ident), body)
        }
        _ => {
            let input = input.map_or_else(|| quote!(::sublane_sdk::__private::NoArguments), |ty| quote!(#ty));
            let body = quote! {
                fn input_schema() -> ::std::string::String {
                    ::sublane_sdk::__private::tool_schema::<#input>()
                }
                fn call(
                    arguments: ::std::string::String,
                ) -> ::std::result::Result<::std::string::String, ::std::string::String> {
                    ::sublane_sdk::__private::call_tool::<#input, _, _>(arguments, #call)
                }
            };
            (quote!(impl ::sublane_sdk::Tool for #ident), body)
        }
    };
    let of = format!("The {} `{name}`, for [`plugin!`](::sublane_sdk::plugin).", entry.word);
    Ok(quote! {
        #function

        #[doc = #of]
        #[allow(non_camel_case_types)]
        #vis enum #ident {}

        #[allow(clippy::needless_question_mark)]
        #implementation {
            const NAME: &'static str = #name;
            const DESCRIPTION: &'static str = #description;
            #doc
        }
    })
}

/// The type of the only parameter, or `None` where there is none.
fn input_type<'a>(entry: &Entry, function: &'a ItemFn) -> Result<Option<&'a Type>> {
    let Entry { word, article, .. } = entry;
    let signature = &function.sig;
    if let Some(word_async) = &signature.asyncness {
        let why = "imports look like ordinary calls here: take `async` away";
        return Err(Error::new(word_async.span(), why));
    }
    if !signature.generics.params.is_empty() {
        let why = format!("{article} {word} has one input type: it cannot be generic");
        return Err(Error::new(signature.generics.span(), why));
    }
    if matches!(signature.output, ReturnType::Default) {
        let why = format!("{article} {word} returns a `Result`, such as `Result<(), Failure>`");
        return Err(Error::new(signature.ident.span(), why));
    }
    let mut inputs = signature.inputs.iter();
    match (inputs.next(), inputs.next()) {
        (None, _) => Ok(None),
        (Some(FnArg::Typed(input)), None) => Ok(Some(&input.ty)),
        (Some(FnArg::Receiver(receiver)), _) => {
            Err(Error::new(receiver.span(), format!("{article} {word} is a function, not a method")))
        }
        (Some(_), Some(second)) => {
            let why = format!("{article} {word} takes one struct with all of its input");
            Err(Error::new(second.span(), why))
        }
    }
}

/// The name: the function's, or what `name = "..."` says.
fn name(entry: &Entry, arguments: TokenStream, function: &ItemFn) -> Result<String> {
    let mut given: Option<LitStr> = None;
    let options = syn::meta::parser(|meta| {
        if !meta.path.is_ident("name") {
            return Err(meta.error("the only option is `name = \"...\"`"));
        }
        given = Some(meta.value()?.parse()?);
        Ok(())
    });
    options.parse2(arguments)?;
    let ident = &function.sig.ident;
    let (name, span) = match given {
        Some(name) => (name.value(), name.span()),
        None => (ident.unraw().to_string().replace('_', &entry.hyphen.to_string()), ident.span()),
    };
    entry.check_name(&name).map_err(|why| Error::new(span, why))?;
    Ok(name)
}

/// The doc comment as text, without the space that begins each of its lines.
fn description(entry: &Entry, function: &ItemFn) -> Result<String> {
    let lines: Vec<String> = function.attrs.iter().filter_map(doc_line).collect();
    let text = lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let text = text.trim();
    let Entry { word, article, description_bytes, .. } = entry;
    let why = if text.is_empty() {
        format!("say in a doc comment what the {word} does, for people and models")
    } else if text.len() > *description_bytes {
        format!("the description of {article} {word} has at most {description_bytes} bytes")
    } else {
        return Ok(text.to_owned());
    };
    Err(Error::new(function.sig.ident.span(), why))
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        entry: &Entry,
        arguments: TokenStream,
        item: TokenStream,
        expected: std::result::Result<&str, &str>,
    ) {
        let found = expand(entry, arguments, item);
        match (found, expected) {
            (Ok(tokens), Ok(part)) => {
                let tokens = tokens.to_string();
                assert!(tokens.contains(part), "no `{part}` in {tokens}");
            }
            (Err(error), Err(why)) => assert_eq!(error.to_string(), why),
            (Ok(tokens), Err(why)) => panic!("expected the error `{why}`, found {tokens}"),
            (Err(error), Ok(part)) => panic!("expected `{part}`, found the error `{error}`"),
        }
    }

    fn none() -> TokenStream {
        TokenStream::new()
    }

    #[test]
    fn names_come_from_the_function() {
        let item = quote!(
            #[doc = " Sums."]
            fn sum_up(n: u32) -> R {}
        );
        check(&Entry::AGENT, none(), item.clone(), Ok(r#"NAME : & 'static str = "sum-up""#));
        check(&Entry::TOOL, none(), item, Ok(r#"NAME : & 'static str = "sum_up""#));
    }

    #[test]
    fn a_name_can_be_given_and_is_checked() {
        let item = quote!(
            #[doc = " Sums."]
            fn sum(n: u32) -> R {}
        );
        check(&Entry::AGENT, quote!(name = "add-up"), item.clone(), Ok(r#"NAME : & 'static str = "add-up""#));
        check(
            &Entry::TOOL,
            quote!(name = "add-up"),
            item.clone(),
            Err("`add-up` is no name for a tool: 1 to 64 of `a-z`, `0-9`, `_`"),
        );
        check(&Entry::AGENT, quote!(nam = "x"), item, Err("the only option is `name = \"...\"`"));
    }

    #[test]
    fn the_description_is_the_doc_comment() {
        let item = quote!(
            #[doc = " First."]
            #[doc = ""]
            #[doc = "  Second."]
            fn f(n: u32) -> R {}
        );
        check(&Entry::TOOL, none(), item, Ok("\"First.\\n\\n Second.\""));
        let without = quote!(
            fn f(n: u32) -> R {}
        );
        check(
            &Entry::TOOL,
            none(),
            without,
            Err("say in a doc comment what the tool does, for people and models"),
        );
    }

    #[test]
    fn a_description_has_a_bound() {
        let long = "x".repeat(4097);
        let item = quote!(#[doc = #long] fn f(n: u32) -> R {});
        check(&Entry::AGENT, none(), item, Err("the description of an agent has at most 4096 bytes"));
    }

    #[test]
    fn signatures_that_cannot_be_called_are_refused() {
        let refused = [
            (
                quote!(
                    fn f(a: A, b: B) -> R {}
                ),
                "an agent takes one struct with all of its input",
            ),
            (
                quote!(
                    fn f(&self) -> R {}
                ),
                "an agent is a function, not a method",
            ),
            (
                quote!(
                    fn f<T>(t: T) -> R {}
                ),
                "an agent has one input type: it cannot be generic",
            ),
            (
                quote!(
                    fn f(a: A) {}
                ),
                "an agent returns a `Result`, such as `Result<(), Failure>`",
            ),
            (
                quote!(
                    async fn f(a: A) -> R {}
                ),
                "imports look like ordinary calls here: take `async` away",
            ),
        ];
        for (function, why) in refused {
            check(&Entry::AGENT, none(), quote!(#[doc = "F."] #function), Err(why));
        }
    }
}
