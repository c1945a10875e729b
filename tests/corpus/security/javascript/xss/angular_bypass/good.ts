export class View {
  constructor(private sanitizer: DomSanitizer) {}
  show(value: string) {
    return this.sanitizer.sanitize(SecurityContext.HTML, value);
  }
  icon() {
    return this.sanitizer.bypassSecurityTrustHtml('<svg></svg>');
  }
}
