-- The tables of an application as they were before lines said who paid.
CREATE TABLE public.claims (
    id              uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    claimant_id     text NOT NULL,
    claimant_name   text NOT NULL,
    claimant_iban   text,
    status          text NOT NULL,
    approved_at     timestamptz,
    approved_by     text,
    currency        char(3) NOT NULL,
    description     text,
    claimant_address jsonb
);
CREATE TABLE public.claim_lines (
    claim_id          uuid NOT NULL REFERENCES public.claims,
    line_no           integer NOT NULL,
    expense_date      date NOT NULL,
    category          text NOT NULL,
    description       text,
    gross_amount      numeric NOT NULL,
    tax_amount        numeric NOT NULL,
    tax_code          text,
    base_gross_amount numeric,
    base_tax_amount   numeric,
    dimensions        jsonb,
    quantity          numeric,
    unit              text,
    receipt_uri       text,
    PRIMARY KEY (claim_id, line_no)
);
CREATE INDEX claims_approved ON public.claims (organization_id, status, approved_at);
