export class View {
  constructor(private sanitizer: DomSanitizer) {}
  show(value: string) {
    return this.sanitizer.bypassSecurityTrustHtml(value); // expect: xss
  }
}
