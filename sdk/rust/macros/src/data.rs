//! `#[data]`: the three derives, pointed at the SDK's copies of their crates.
//!
//! Owns nothing but these attributes. Never changes the type.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Item, Result};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "`data` takes no arguments; use `#[serde(...)]` below it"));
    }
    match syn::parse2::<Item>(item.clone())? {
        Item::Struct(_) | Item::Enum(_) => Ok(quote! {
            #[derive(
                ::sublane_sdk::serde::Serialize,
                ::sublane_sdk::serde::Deserialize,
                ::sublane_sdk::schemars::JsonSchema,
            )]
            #[serde(crate = "::sublane_sdk::serde")]
            #[schemars(crate = "::sublane_sdk::schemars")]
            #item
        }),
        other => Err(Error::new_spanned(other, "`data` belongs on a struct or an enum")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_and_enums_only() {
        assert!(
            expand(
                TokenStream::new(),
                quote!(
                    struct S;
                )
            )
            .is_ok()
        );
        assert!(
            expand(
                TokenStream::new(),
                quote!(
                    enum E {}
                )
            )
            .is_ok()
        );
        let error = expand(
            TokenStream::new(),
            quote!(
                fn f() {}
            ),
        )
        .expect_err("a function is no data");
        assert_eq!(error.to_string(), "`data` belongs on a struct or an enum");
    }

    #[test]
    fn no_arguments() {
        assert!(
            expand(
                quote!(strict),
                quote!(
                    struct S;
                )
            )
            .is_err()
        );
    }
}
