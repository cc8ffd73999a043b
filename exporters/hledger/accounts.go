package hledger

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerport/ledgerport/api/v1alpha1"
	"github.com/ledgerport/ledgerport/exporters"
)

// nameAccounts names the accounts of a chart, each otherwise.
func nameAccounts(o *options, d dialect, books *v1alpha1.ChartOfAccountsSpec) (map[string]string, error) {
	names, numbers := map[string]string{}, map[string]string{}
	for _, account := range books.Accounts {
		top, err := o.topLevel(account.Number, books)
		if err != nil {
			return nil, err
		}
		name := top + ":" + accountName(o.AccountName, d, account)
		if len(name) > maxAccountName {
			return nil, &exporters.OptionError{Field: "accountName", Problem: fmt.Sprintf("makes a name of more than %d bytes of the account %s of the chart", maxAccountName, account.Number)}
		}
		if other, taken := numbers[name]; taken {
			return nil, &exporters.OptionError{Field: "accountName", Problem: fmt.Sprintf("makes one account %q of the accounts %s and %s of the chart", name, other, account.Number)}
		}
		names[account.Number], numbers[name] = name, account.Number
	}
	return names, nil
}

// topLevel returns the top-level account of an account.
func (o *options) topLevel(number string, books *v1alpha1.ChartOfAccountsSpec) (string, error) {
	if o.TopLevel != nil {
		for end := len(number); end > 0; end-- {
			if top, found := o.TopLevel[number[:end]]; found {
				return top, nil
			}
		}
		return "", &exporters.OptionError{Field: "topLevel", Problem: fmt.Sprintf("has no prefix of the account %s of the chart", number)}
	}
	isTax := func(code v1alpha1.TaxCode) bool { return code.Account == number }
	isOwed := func(code v1alpha1.TaxCode) bool {
		return code.ReverseCharge != nil && code.ReverseCharge.Account == number
	}
	isPaid := func(paid v1alpha1.PaidPosting) bool { return paid.Account == number }
	switch {
	case number == books.Offset.Account, slices.ContainsFunc(books.Offsets, isPaid), slices.ContainsFunc(books.TaxCodes, isOwed):
		return liabilities, nil
	case slices.ContainsFunc(books.TaxCodes, isTax), books.Advances != nil && number == books.Advances.Account:
		return assets, nil
	}
	return expenses, nil
}

// accountName fills in a template such as "{number} {name}". Only its own colons begin another account.
func accountName(template string, d dialect, account v1alpha1.Account) string {
	fill := strings.NewReplacer("{number}", account.Number, "{name}", account.Name)
	parts := strings.Split(template, ":")
	for i := range parts {
		parts[i] = d.component(fill.Replace(parts[i]))
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ":")
}

// dimensionsOf lists the dimensions of a chart, which become tags.
func dimensionsOf(d dialect, books *v1alpha1.ChartOfAccountsSpec) ([]string, error) {
	names := map[string]bool{}
	for _, rule := range books.Rules {
		for name := range rule.Dimensions {
			names[name] = true
		}
	}
	sorted := slices.Sorted(maps.Keys(names))
	for _, name := range sorted {
		problem := d.tagProblem(name)
		if slices.Contains([]string{claimTag, claimantTag, documentTag, paymentTag, reversesTag, textTag}, name) {
			problem = "is a tag that the exporter uses itself"
		}
		if problem != "" {
			return nil, &exporters.OptionError{Problem: fmt.Sprintf("the dimension %.60q of the chart of accounts %s; call it otherwise", name, problem)}
		}
	}
	return sorted, nil
}
